"""One connection of sync code: a blocking socket whose every wait ends at a deadline."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Final

from traffik.backends.redis.settings import Endpoint, Login
from traffik.backends.redis.sockets import connected, left
from traffik.backends.redis.visits import check
from traffik.backends.redis.wire import MORE, Command, ProtocolError, pack, reader
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["SyncLink", "dial"]

_CHUNK: Final = 65_536


class SyncLink:
    """A connection for one caller at a time; unusable after an error."""

    def __init__(self, endpoint: Endpoint, plain: socket.socket) -> None:
        self._endpoint = endpoint
        self._socket = plain
        self._reader = reader()

    def exchange(self, payload: bytes, replies: int, deadline: float) -> list[Any]:
        """Send, and wait for so many replies.

        Raises:
            BackendError: they have not come, and the link is closed: what was sent may have been carried out.
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
        except (ProtocolError, TypeError) as error:  # a TypeError is hiredis's for a map with keys that cannot be one
            self.close()
            text = f"{self._endpoint} does not speak the protocol of Redis ({error})"
            raise BackendError(text, maybe_executed=True) from error
        except OSError as error:
            self.close()
            text = f"the connection to {self._endpoint} was lost ({error})"
            raise BackendError(text, maybe_executed=True) from error
        except BaseException:
            self.close()  # somebody interrupts: a reply that is still to come must not meet the next caller
            raise

    def _received(self) -> bytes:
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("closed by the server")
        return data

    def ask(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """The replies to `commands`."""
        if not commands:
            return []
        return self.exchange(pack(commands), len(commands), deadline)

    def gone(self) -> bool:
        """Whether the server has closed the connection, or says something nobody has asked for."""
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
        """Close at once."""
        self._socket.close()


def dial(endpoint: Endpoint, login: Login, deadline: float) -> SyncLink:
    """A connection to `endpoint`, logged in.

    Raises:
        BackendError: there is none by the deadline.
    """
    try:
        plain = connected(endpoint, login, deadline)
    except TimeoutError:
        raise BackendTimeoutError(f"cannot connect to {endpoint} in time") from None
    except Exception as error:  # also a UnicodeError, for a name that no host can have
        raise BackendError(f"cannot connect to {endpoint}: {error}") from error
    link = SyncLink(endpoint, plain)
    try:
        check(endpoint, link.ask(login.commands(), deadline))
    except BaseException:
        link.close()
        raise
    return link
