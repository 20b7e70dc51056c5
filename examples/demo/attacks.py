"""Three ways to get more than 12 requests in a minute, tried on traffik and on the naive limiter beside it."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import httpx
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from examples.demo.naive import NaiveLimiter
from examples.demo.serving import served, two_workers, wait_for
from traffik import Limiter, notices
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

LIMIT: Final = 12
ATTEMPTS: Final = 100
KEY: Final = {"X-API-Key": "ada-key"}


@dataclass
class Attack:
    """What was tried, and the most that each limiter admitted within a minute."""

    name: str
    traffik: int
    naive: int
    remark: str = ""


def fullest_minute(hit: Callable[[], object], clock: VirtualClock) -> int:
    """The most that a minute admits of a client that comes once, and much just before and after a full minute."""
    start, admitted = clock.now, list[float]()
    for second, requests in ((0, 1), (59, LIMIT), (60, LIMIT)):
        clock.now = start + second * 1_000_000
        admitted += [second for _ in range(requests) if hit()]
    return max(sum(begin <= time < begin + 60 for time in admitted) for begin in admitted)


def edge_of_a_minute() -> Attack:
    """Requests just before and just after the moment at which counters start again, on a virtual clock."""
    clock = VirtualClock(now=60_000_000)
    naive = NaiveLimiter(LIMIT, lambda: clock.now / 1_000_000)
    counted = fullest_minute(lambda: naive.hit("client"), clock)
    clock = VirtualClock(now=60_000_000)
    limiter = Limiter("edge", f"{LIMIT}/min", backend=InMemoryBackend(clock=clock)).sync
    return Attack("bursts at the edge of a minute", fullest_minute(lambda: limiter.hit("client"), clock), counted)


def forged(address: str) -> int:
    """How many of 40 requests are admitted, each with another X-Forwarded-For."""
    with httpx.Client(base_url=address) as http:
        headers = ({"X-Forwarded-For": f"203.0.113.{number}"} for number in range(40))
        return sum(http.get("/quotes", headers=each).status_code == 200 for each in headers)


def forged_header() -> Attack:
    """A client that writes another address into each request."""
    with served("examples.demo.by_address:app") as ours, served("examples.demo.naive:app") as naive:
        attack = Attack("40 forged X-Forwarded-For", forged(ours), forged(naive))
    said = [notice.sentence for notice in notices.said() if notice.id == "untrusted-proxy"]
    attack.remark = f"traffik has logged: {said[0]}" if said else ""
    return attack


def admitted_by(address: str, requests: int) -> Counter[int]:
    """Send requests over new connections; how many of them each worker, by its process id, has admitted."""
    admitted: Counter[int] = Counter()
    with httpx.Client(base_url=address, headers=KEY, limits=httpx.Limits(max_keepalive_connections=0)) as http:
        for _ in range(requests):
            response = patient_get(http)
            if response.status_code == 200:
                admitted[response.json()["worker"]] += 1
    return admitted


def patient_get(http: httpx.Client) -> httpx.Response:
    """Send a request, a few more times if the worker that accepted the connection is killed.

    Raises:
        httpx.TransportError: the other worker does not answer either.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return http.get("/quotes")
        except httpx.TransportError:
            time.sleep(0.05)
    return http.get("/quotes")


def killed_in_between(address: str) -> tuple[Counter[int], int]:
    """Eight requests, a ``kill -9`` of the worker that admitted most, and thirty more; also which worker it was."""
    wait_for(address)
    admitted = admitted_by(address, 8)
    victim = admitted.most_common(1)[0][0]
    os.kill(victim, getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows ends a process at once for the other
    return admitted + admitted_by(address, 30), victim


def two_workers_and_a_kill() -> Attack:
    """Two workers share a limit in LMDB, and one of them is killed."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        ours = stack.enter_context(two_workers("examples.workers_app:app", TRAFFIK_DIRECTORY=folder))
        naive = stack.enter_context(two_workers("examples.demo.naive:app"))
        counted, victim = killed_in_between(ours)
        others, _ = killed_in_between(naive)
    shares = ", ".join(f"{pid}{' (kill -9)' if pid == victim else ''} {number}" for pid, number in counted.items())
    return Attack("two workers, kill -9 of one", counted.total(), others.total(), f"admitted by worker {shares}")


def attack_all(console: Console) -> list[Attack]:
    """Try all of them."""
    attacks = []
    for attack in (edge_of_a_minute, forged_header, two_workers_and_a_kill):
        with console.status(attack.__name__.replace("_", " ")):
            attacks.append(attack())
    return attacks


def table_of(attacks: Iterable[Attack]) -> RenderableType:
    """A row for each attack, and the remarks below."""
    table = Table(box=box.ROUNDED, header_style="bold")
    table.add_column(f"to get more than {LIMIT} in a minute")
    table.add_column("traffik\nadmits", justify="right")
    table.add_column("a naive limiter\nadmits", justify="right")
    remarks = []
    for attack in attacks:
        colours = ["green" if number <= LIMIT else "red" for number in (attack.traffik, attack.naive)]
        table.add_row(attack.name, Text(str(attack.traffik), colours[0]), Text(str(attack.naive), colours[1]))
        remarks += [Text(attack.remark, "dim")] * bool(attack.remark)
    return Group(table, *remarks)


def broken_by(attacks: Iterable[Attack]) -> list[str]:
    """The attacks that gained something, or took something away, as sentences."""
    return [f"{each.name}: {each.traffik} admitted, not {LIMIT}" for each in attacks if each.traffik != LIMIT]
