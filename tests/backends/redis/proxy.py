"""A TCP proxy with faults that tests switch on. Its event loop has a thread of its own, for sync and async tests.

It is between a client and a Redis server, counts the traffic, and has the faults of networks. TCP never continues after
a gap, and neither does it: after a lost byte, it sends nothing more on that connection.
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
_AT_ONCE = struct.pack("ii", 1, 0)  # for SO_LINGER: closing is resetting
_CHUNK = 65_536


class Fault(Enum):
    """What is wrong; see the methods of `Proxy`."""

    BLACK_HOLE = auto()
    TRICKLE = auto()
    GARBAGE = auto()
    DROP_NEXT = auto()
    CUT_NEXT = auto()


class Proxy:
    """Forwards to a server for as long as the context lasts. Every method has its effect when it returns.

    Args:
        target: the port of the server, on the loopback interface.

    Attributes:
        port: where it listens; the same after `refuse` and `heal`.
        latency_ms: milliseconds by which each reply is late; more of them may be on the way at a time.
        fault: what is wrong now; a fault of the next reply is over when it has happened.
        connections: how many were accepted so far.
        commands: how many of each command were forwarded, by name in capitals; ``commands.total()`` of all.
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
        """How many connections there are."""
        return len(self._links)

    def black_hole(self) -> None:
        """Accept connections and all they send, and pass nothing on, either way."""
        self.fault = Fault.BLACK_HOLE

    def trickle(self) -> None:
        """Pass replies on one byte at a time."""
        self.fault = Fault.TRICKLE

    def garbage(self, instead: bytes = GARBAGE) -> None:
        """Answer `instead`, whatever the server replies."""
        self.instead = instead
        self.fault = Fault.GARBAGE

    def drop_next_reply(self) -> None:
        """Lose the next reply: the command has been executed; its connection stays open, and answers nothing more."""
        self.fault = Fault.DROP_NEXT

    def cut_next_reply(self) -> None:
        """Reset a connection instead of its next reply: the command has been executed."""
        self.fault = Fault.CUT_NEXT

    def reset(self) -> None:
        """Reset the connections there are."""
        self._do(self._reset())

    def refuse(self) -> None:
        """Reset the connections there are, and refuse new ones."""
        self._do(self._refuse())

    def heal(self) -> None:
        """Behave again, without latency; connections that have lost something are reset."""
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
            self._server.close()
            self._server = None
        await self._reset()

    async def _close(self) -> None:
        await self._refuse()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


class _Link:
    """One connection of a client, and that to the server for it."""

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
        with suppress(OSError):  # it is closed already
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
            self._proxy.received += size  # before whoever has them can look
            self._writer.write(data[start : start + size])
            await self._writer.drain()
            if size < len(data):
                await asyncio.sleep(0.0001)  # or the kernel would hand them over together
