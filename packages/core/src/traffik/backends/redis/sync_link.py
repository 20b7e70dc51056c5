"""One connection of sync code: a blocking socket whose every wait ends at a deadline."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Any, Final

from traffik.backends.redis.settings import Endpoint, Login
from traffik.backends.redis.visits import check
from traffik.backends.redis.wire import MORE, Command, ProtocolError, pack, reader
from traffik.errors import BackendError, BackendTimeoutError

__all__ = ["SyncLink", "dial"]

_CHUNK: Final = 65_536


class SyncLink:
    """A connection for one caller at a time; unusable after an error."""

    def __init__(self, endpoint: Endpoint, connected: socket.socket) -> None:
        self._endpoint = endpoint
        self._socket = connected
        self._reader = reader()

    def exchange(self, payload: bytes, replies: int, deadline: float) -> list[Any]:
        """Send, and wait for so many replies.

        Raises:
            BackendError: they have not come, and the link is closed: what was sent may have been carried out.
        """
        found: list[Any] = []
        try:
            self._socket.settimeout(_left(deadline))
            self._socket.sendall(payload)
            while True:
                while len(found) < replies and (reply := self._reader.gets()) is not MORE:
                    found.append(reply)
                if len(found) == replies:
                    return found
                self._socket.settimeout(_left(deadline))
                self._reader.feed(self._received())
        except TimeoutError:
            self.close()
            raise BackendTimeoutError(f"{self._endpoint} did not answer in time", maybe_executed=True) from None
        except ProtocolError as error:
            self.close()
            raise BackendError(f"{self._endpoint} does not speak the protocol of Redis ({error})") from error
        except OSError as error:
            self.close()
            raise BackendError(f"the connection to {self._endpoint} was lost ({error})") from error
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
        """Whether the server has closed the connection, or says something nobody asked for."""
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
        connected = _connected(endpoint, login, deadline)
    except TimeoutError:
        raise BackendTimeoutError(f"cannot connect to {endpoint} in time") from None
    except OSError as error:
        raise BackendError(f"cannot connect to {endpoint}: {error}", maybe_executed=False) from error
    link = SyncLink(endpoint, connected)
    try:
        check(endpoint, link.ask(login.commands(), deadline))
    except BaseException:
        link.close()
        raise
    return link


def _connected(endpoint: Endpoint, login: Login, deadline: float) -> socket.socket:
    if endpoint.path is not None:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(_left(deadline))
            connected.connect(endpoint.path)
        except BaseException:
            connected.close()
            raise
        return connected
    connected = socket.create_connection((endpoint.host, endpoint.port), _left(deadline))
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if login.tls is None:
        return connected
    try:
        connected.settimeout(_left(deadline))
        return login.tls.wrap_socket(connected, server_hostname=endpoint.host)
    except BaseException:
        connected.close()
        raise


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
