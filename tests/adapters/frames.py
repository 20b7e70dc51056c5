"""A hostile WebSocket client: it writes frames in bulk on a bare socket, and reads only if a test says so."""

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
    """An open WebSocket. It keeps the frames of the server, from the call of `listen` on."""

    def __init__(self, connection: socket.socket, rest: bytes) -> None:
        self.connection = connection
        self._got = bytearray(rest)
        self._listener = Thread(target=self._listen, daemon=True)

    def listen(self) -> None:
        """Begin to read in a thread, as fast as possible, until the server closes."""
        self._listener.start()

    def flood(self, frames: int, patience: float = PATIENCE) -> int:
        """Write small text frames. Stop if the server closes, or reads nothing for `patience` seconds.

        Returns:
            the number of frames written.
        """
        size, sent = frames * len(SMALL), 0
        with suppress(ConnectionError):
            while sent < size and select((), (self.connection,), (), patience)[1]:
                start = sent % len(SMALL)
                sent += self.connection.send(BULK[start : start + size - sent])
        return sent // len(SMALL)

    def close(self) -> None:
        """Send a close frame, if the server still reads."""
        with suppress(ConnectionError):
            self.connection.sendall(CLOSE)

    def abort(self) -> None:
        """Reset the connection; the server loses the frames that it has not read yet."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
        self.connection.close()

    def refusals(self, at_least: int = 0) -> int:
        """The number of refusals received. Waits for `at_least` of them."""
        deadline = monotonic() + PATIENCE
        while self._got.count(b'"rate_limit"') < at_least and monotonic() < deadline:
            sleep(0.01)  # another thread reads a real socket
        return self._got.count(b'"rate_limit"')

    def received(self) -> list[Frame]:
        """All frames received. Waits until the server closes."""
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
    """Parse the frames of a server, which are not masked and at most 64 KiB long."""
    while data:
        kind, size, start = data[0] & 15, data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        yield Frame(kind, data[start : start + size])
        data = data[start + size :]
