"""A client that uploads piece by piece on a bare socket, with or without a length, until it gets a response."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from select import select
from time import monotonic, sleep

PATIENCE = 20  # seconds
PIECE = 50_000
"""Bytes that go out at once."""


class Uploader:
    """An upload whose header fields have been sent."""

    def __init__(self, connection: socket.socket, address: str, path: str, declared: int | None) -> None:
        self.connection = connection
        self.sent = 0
        self._chunked = declared is None
        length = "Transfer-Encoding: chunked" if declared is None else f"Content-Length: {declared}"
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: {address}\r\n{length}\r\n\r\n".encode())

    def send(self, size: int) -> None:
        """Send `size` bytes, or fewer if a response comes first."""
        with suppress(ConnectionError):
            while size and not select((self.connection,), (), (), 0)[0]:
                piece = min(PIECE, size)
                head, tail = (b"%x\r\n" % piece, b"\r\n") if self._chunked else (b"", b"")
                self.connection.sendall(head + bytes(piece) + tail)
                self.sent += piece
                size -= piece

    def end(self) -> HTTPResponse:
        """End the body; the response."""
        if self._chunked:
            with suppress(ConnectionError):
                self.connection.sendall(b"0\r\n\r\n")
        return self.answer()

    def answer(self) -> HTTPResponse:
        response = HTTPResponse(self.connection)
        response.begin()
        response.read()
        return response


@contextmanager
def uploading(address: str, declared: int | None = None, path: str = "/upload") -> Iterator[Uploader]:
    """Begin an upload. The connection closes when the context ends."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        yield Uploader(connection, address, path, declared)


def wait_until(condition) -> None:
    """Wait until a real server in another thread has made `condition` true."""
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, "it does not happen"
        sleep(0.01)
