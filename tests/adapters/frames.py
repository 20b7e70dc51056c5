"""A WebSocket client that keeps no rules: it writes frames in bulk on a bare socket, and reads when it likes."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select
from struct import pack
from threading import Thread
from time import monotonic, sleep
from typing import NamedTuple

PATIENCE = 20  # seconds
SMALL = b"\x81\x81\0\0\0\0x"
"""A text frame of one letter, masked with zeros."""
BULK = SMALL * 10_000
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"
"""The frame that closes with code 1000, masked in the same way."""


class Frame(NamedTuple):
    """One frame that a server has sent."""

    kind: int
    payload: bytes

    @property
    def code(self) -> int:
        """The code of a close frame."""
        return int.from_bytes(self.payload[:2], "big")


class RawClient:
    """An opened WebSocket; what the server sends is kept from `listen` on."""

    def __init__(self, connection: socket.socket, rest: bytes) -> None:
        self.connection = connection
        self._got = bytearray(rest)
        self._listener = Thread(target=self._listen, daemon=True)

    def listen(self) -> None:
        """Read, as fast as it comes, until the server has closed."""
        self._listener.start()

    def flood(self, frames: int, patience: float = PATIENCE) -> int:
        """Write so many small text frames; how many went out before the server closed, or read no more for so long."""
        size, sent = frames * len(SMALL), 0
        with suppress(ConnectionError):
            while sent < size and select((), (self.connection,), (), patience)[1]:
                start = sent % len(SMALL)
                sent += self.connection.send(BULK[start : start + size - sent])
        return sent // len(SMALL)

    def close(self) -> None:
        """Say that nothing more will come, if the server still listens."""
        with suppress(ConnectionError):
            self.connection.sendall(CLOSE)

    def abort(self) -> None:
        """Vanish, and with it all that the server has not read yet."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
        self.connection.close()

    def refusals(self, at_least: int = 0) -> int:
        """How many refusals have come, once there are `at_least` so many."""
        deadline = monotonic() + PATIENCE
        while self._got.count(b'"rate_limit"') < at_least and monotonic() < deadline:
            sleep(0.01)  # a real client: what comes is read in another thread
        return self._got.count(b'"rate_limit"')

    def received(self) -> list[Frame]:
        """All frames that came, once the server has closed."""
        self._listener.join(PATIENCE)
        assert not self._listener.is_alive(), "the server does not close"
        return list(_frames(bytes(self._got)))

    def _listen(self) -> None:
        with suppress(OSError):
            while piece := self.connection.recv(65_536):
                self._got += piece


@contextmanager
def raw_client(address: str, path: str = "/ws") -> Iterator[RawClient]:
    """Open a WebSocket."""
    host, port = address.split(":")
    key = b64encode(b"0" * 16).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: {address}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(4_096)
        assert answer.startswith(b"HTTP/1.1 101"), answer
        yield RawClient(connection, answer.partition(b"\r\n\r\n")[2])


def _frames(data: bytes) -> Iterator[Frame]:
    """The frames of a server, none of them masked or longer than 64 KiB."""
    while data:
        kind, size, start = data[0] & 15, data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        yield Frame(kind, data[start : start + size])
        data = data[start + size :]
