"""Clients that send requests through several servers at once, and remember what was admitted."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from typing import NamedTuple, Self

from tests.soak.served import CLIENT

CLIENTS = tuple(f"client-{number}" for number in range(6))
THREADS = 6
PAUSE = 0.002  # seconds between two requests of a thread


class Admitted(NamedTuple):
    """When an admitted request was sent, and when its response came. It was counted in between."""

    sent: float
    received: float


class Traffic:
    """Requests from several threads to several servers, until it is stopped.

    Attributes:
        admitted: the admitted requests, by store and client.
        answers: the number of responses, by server, store and status.
        broken: when a connection broke, with the name of the server.
    """

    def __init__(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses
        self.admitted: defaultdict[tuple[str, str], list[Admitted]] = defaultdict(list)
        self.answers: Counter[tuple[str, str, int]] = Counter()
        self.broken: list[tuple[float, str]] = []
        self._stopped = Event()
        self._threads = [Thread(target=self._send, args=(seed,)) for seed in range(THREADS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _send(self, seed: int) -> None:
        rng = random.Random(seed)
        connections = {name: HTTPConnection(address, timeout=30) for name, address in self.addresses.items()}
        while not self._stopped.wait(PAUSE):
            server = rng.choice(list(connections))
            store = rng.choice(["redis", "redis", "lmdb", "lmdb", "memory"])
            # In memory each request is from a new client, whose key must be forgotten again.
            client = rng.choice(CLIENTS) if store != "memory" else f"{rng.getrandbits(64):x}"
            sent = time.monotonic()
            try:
                connections[server].request("GET", f"/{store}", headers={CLIENT: client})
                response = connections[server].getresponse()
                response.read()
            except (OSError, HTTPException):
                connections[server].close()
                self.broken.append((sent, server))
                continue
            self.answers[server, store, response.status] += 1
            if response.status == 200 and store != "memory":
                self.admitted[store, client].append(Admitted(sent, time.monotonic()))
        for connection in connections.values():
            connection.close()


def most_in_window(admitted: list[Admitted], seconds: float) -> list[tuple[float, int]]:
    """For each admitted request, its time, and how many were certainly counted within `seconds` from then."""
    ordered = sorted(admitted)
    found = []
    for at, first in enumerate(ordered):
        end = first.sent + seconds
        later = 0
        for each in ordered[at:]:
            if each.sent > end:
                break
            later += each.received <= end
        found.append((first.sent, later))
    return found
