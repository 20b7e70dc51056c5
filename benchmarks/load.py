"""Requests a second that a server answers: by `wrk` if it is installed, or else by a small client of our own.

That client sends HTTP/1.1 on a few connections, and counts responses by their first line.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from math import ceil
from time import perf_counter
from typing import Any

__all__ = ["NAME", "rate"]

_WRK = shutil.which("wrk")
NAME = "wrk" if _WRK else "load.py"
"""What sends the requests."""

_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_ANSWER = b"HTTP/1.1 200"


def rate(port: int, connections: int, seconds: float) -> float:
    """Requests a second that the server at `port` answers with status 200."""
    return _by_wrk(_WRK, port, connections, seconds) if _WRK else asyncio.run(_rate(port, connections, seconds))


def _by_wrk(wrk: str, port: int, connections: int, seconds: float) -> float:
    command = [wrk, "-t1", f"-c{connections}", f"-d{ceil(seconds)}s", f"http://127.0.0.1:{port}/"]
    report = subprocess.check_output(command, text=True, timeout=10 + seconds)
    found = re.search(r"Requests/sec:\s+([\d.]+)", report)
    if found is None or "Non-2xx" in report:
        raise RuntimeError(report)
    return float(found[1])


async def _rate(port: int, connections: int, seconds: float) -> float:
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(_Client, "127.0.0.1", port))[1] for _ in range(connections)]
    start = perf_counter()
    await asyncio.sleep(seconds)
    taken = perf_counter() - start
    for client in clients:
        client.transport.abort()
    return sum(client.answers for client in clients) / taken


class _Client(asyncio.Protocol):
    """One connection: the next request as soon as an answer begins (small ones come in one piece)."""

    transport: Any

    def __init__(self) -> None:
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        count = data.count(_ANSWER)
        self.answers += count
        if count:
            self.transport.write(_REQUEST)
