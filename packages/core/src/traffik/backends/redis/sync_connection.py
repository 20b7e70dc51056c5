"""A connection of sync code: a socket whose every wait ends at a deadline."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import Any, Final

from traffik.backends.redis.protocol import MORE, UNREADABLE, Command, pack, reader, unreadable
from traffik.backends.redis.settings import Endpoint
from traffik.backends.redis.sockets import connected, left
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["SyncConnection", "connect"]

_CHUNK: Final = 65_536


class SyncConnection:
    """A connection for one caller at a time; unusable after an error."""

    def __init__(self, endpoint: Endpoint, plain: socket.socket) -> None:
        self._endpoint = endpoint
        self._socket = plain
        self._reader = reader()

    def exchange(self, payload: bytes, replies: int, deadline: float) -> list[Any]:
        """Send, and wait for so many replies.

        Raises:
            BackendError: they did not come, and the connection is closed. What was sent may have been carried out.
        """
        found: list[Any] = []
        try:
            self._socket.settimeout(left(deadline))
            self._socket.sendall(payload)
            while True:
                while len(found) < replies and (reply := self._reader.gets()) is not MORE:
                    found.append(reply)
                if len(found) == replies:
                    return found
                self._socket.settimeout(left(deadline))
                self._reader.feed(self._received())
        except TimeoutError:
            self.close()
            raise BackendTimeoutError(f"{self._endpoint} did not answer in time", maybe_executed=True) from None
        except UNREADABLE as error:
            self.close()
            raise unreadable(self._endpoint, error) from error
        except OSError as error:
            self.close()
            text = f"the connection to {self._endpoint} was lost ({error})"
            raise BackendError(text, maybe_executed=True) from error
        except BaseException:
            self.close()  # interrupted: a reply that is still to come must not meet the next caller
            raise

    def _received(self) -> bytes:
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("closed by the server")
        return data

    async def ask(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        return self.exchange(pack(commands), len(commands), deadline)

    def gone(self) -> bool:
        """Whether the server has closed the connection, or said something unasked."""
        if self._reader.has_data():
            return True
        self._socket.settimeout(0)
        try:
            self._socket.recv(1)
        except (BlockingIOError, OSError) as error:
            # A TLS socket has its own word for "nothing to read yet".
            return not isinstance(error, BlockingIOError) and type(error).__name__ != "SSLWantReadError"
        return True

    def close(self) -> None:
        self._socket.close()


async def connect(endpoint: Endpoint, tls: ssl.SSLContext | None, deadline: float) -> SyncConnection:
    """A connection to `endpoint`.

    Raises:
        TimeoutError: there is none by the deadline, on the monotonic clock.
        OSError: there can be none.
    """
    return SyncConnection(endpoint, connected(endpoint, tls, deadline))
