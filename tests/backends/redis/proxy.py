"""A TCP proxy with faults that tests switch on. Its event loop runs in another thread, for sync and async tests.

It stands between a client and a Redis server, counts the traffic, and simulates faults of networks. Like TCP, it never
continues after a gap: after a lost byte, it sends nothing more on that connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum, auto
from threading import Thread
from typing import Any, Self

import hiredis

from tests.backends.redis.servers import HOST, PATIENCE, free_port

GARBAGE = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
_AT_ONCE = struct.pack("ii", 1, 0)  # for SO_LINGER: close sends a reset
_CHUNK = 65_536


class Fault(Enum):
    """The fault that is switched on; see the methods of `Proxy`."""

    BLACK_HOLE = auto()
    TRICKLE = auto()
    GARBAGE = auto()
    DROP_NEXT = auto()
    CUT_NEXT = auto()


class Proxy:
    """Forwards to a server while the context lasts. Each method has taken effect when it returns.

    Args:
        target: the port of the server on the loopback interface.

    Attributes:
        port: where the proxy listens; `refuse` and `heal` do not change it.
        latency_ms: milliseconds of delay for each reply. Several replies may be under way at a time.
        fault: the current fault. A fault of the next reply ends after that reply.
        connections: the number accepted so far.
        commands: the number of each command forwarded, by name in capitals.
        sent: bytes forwarded to the server.
        received: bytes forwarded to clients.
    """

    def __init__(self, target: int) -> None:
        self.host, self.port, self.target = HOST, free_port(), target
        self.latency_ms: float = 0
        self.fault: Fault | None = None
        self.instead = GARBAGE
        self.connections = self.sent = self.received = 0
        self.commands: Counter[str] = Counter()
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *error: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}"

    @property
    def open(self) -> int:
        """The number of open connections."""
        return len(self._links)

    def black_hole(self) -> None:
        """Accept connections and data, but forward nothing in either direction."""
        self.fault = Fault.BLACK_HOLE

    def trickle(self) -> None:
        """Forward replies one byte at a time."""
        self.fault = Fault.TRICKLE

    def garbage(self, instead: bytes = GARBAGE) -> None:
        """Replace each reply of the server by `instead`."""
        self.instead = instead
        self.fault = Fault.GARBAGE

    def drop_next_reply(self) -> None:
        """Lose the next reply. The command is executed; its connection stays open, but nothing more is sent on it."""
        self.fault = Fault.DROP_NEXT

    def cut_next_reply(self) -> None:
        """Reset a connection instead of sending the next reply. The command is executed."""
        self.fault = Fault.CUT_NEXT

    def reset(self) -> None:
        """Reset all open connections."""
        self._do(self._reset())

    def refuse(self) -> None:
        """Reset all open connections, and refuse new ones."""
        self._do(self._refuse())

    def heal(self) -> None:
        """End all faults and latency. Connections that have lost data are reset."""
        self.fault = None
        self.latency_ms = 0
        self._do(self._listen())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _listen(self) -> None:
        for link in [link for link in self._links if link.lost_up or link.lost_down]:
            await link.reset()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port, backlog=1024)

    async def _reset(self) -> None:
        for link in list(self._links):
            await link.reset()

    async def _refuse(self) -> None:
        if self._server is not None:
            for listening in self._server.sockets:
                self._loop.remove_reader(listening)
            await asyncio.sleep(0)  # asyncio leaves a connection open if its server is closed while accepting it
            self._server.close()
            self._server = None
        await self._reset()

    async def _close(self) -> None:
        await self._refuse()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=0.01)
            await self._reset()  # connections that were just being accepted

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


class _Link:
    """A connection from a client, and the matching one to the server."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lost_up = self.lost_down = False
        self._proxy, self._reader, self._writer = proxy, reader, writer
        self._replies: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._parser = hiredis.Reader()
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Forward until one side closes the connection; then close the other."""
        try:
            server = await asyncio.open_connection(HOST, self._proxy.target)
        except OSError:
            self._abort()
        else:
            await self._forward(*server)
        self._over.set()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pumps = [asyncio.ensure_future(pump) for pump in (self._up(writer), self._down(reader), self._answer())]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for each in (writer, self._writer):
            each.close()
            with suppress(OSError):
                await each.wait_closed()

    async def reset(self) -> None:
        """Reset the client's connection."""
        self._abort()
        await self._over.wait()

    def _abort(self) -> None:
        client: socket.socket = self._writer.get_extra_info("socket")
        with suppress(OSError):  # already closed
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._writer.transport.abort()

    async def _up(self, server: asyncio.StreamWriter) -> None:
        while data := await self._reader.read(_CHUNK):
            self.lost_up |= self._proxy.fault is Fault.BLACK_HOLE
            if not self.lost_up:
                self._count(data)
                server.write(data)
                await server.drain()

    def _count(self, data: bytes) -> None:
        self._proxy.sent += len(data)
        self._parser.feed(data)
        with suppress(hiredis.ProtocolError):  # an inline command
            while command := self._parser.gets():
                self._proxy.commands[command[0].decode().upper()] += 1

    async def _down(self, server: asyncio.StreamReader) -> None:
        clock = asyncio.get_running_loop().time
        while data := await server.read(_CHUNK):
            self._replies.put_nowait((clock() + self._proxy.latency_ms / 1000, data))

    async def _answer(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await self._replies.get()
            await asyncio.sleep(due - clock())
            fault = self._proxy.fault
            if fault is Fault.CUT_NEXT:
                self._proxy.fault = None
                self._abort()
                return
            if fault is Fault.DROP_NEXT:
                self._proxy.fault = None
            self.lost_down |= fault in {Fault.BLACK_HOLE, Fault.DROP_NEXT}
            if not self.lost_down:
                await self._pass_on(self._proxy.instead if fault is Fault.GARBAGE else data)

    async def _pass_on(self, data: bytes) -> None:
        size = 1 if self._proxy.fault is Fault.TRICKLE else len(data)
        for start in range(0, len(data), size):
            self._proxy.received += size  # before the client can read them and a test can check the number
            self._writer.write(data[start : start + size])
            await self._writer.drain()
            if size < len(data):
                await asyncio.sleep(0.0001)  # otherwise the kernel would deliver them together
