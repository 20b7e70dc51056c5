"""A client that sends requests continuously: HTTP/1.1 on a few connections. It counts responses by their first line."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

__all__ = ["rate"]

_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_ANSWER = b"HTTP/1.1 200"


def rate(port: int, connections: int, seconds: float) -> float:
    """Requests a second that the server at `port` answers with status 200."""
    return asyncio.run(_rate(port, connections, seconds))


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
