"""A connection for sync code: a blocking socket. All its waits end at a deadline."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from threading import Thread
from time import monotonic
from typing import Any, Final

from traffik.backends.redis.lookups import look_up
from traffik.backends.redis.protocol import MORE, UNREADABLE, Command, pack, reader, unreadable
from traffik.backends.redis.settings import Endpoint
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["SyncConnection"]

_CHUNK: Final = 65_536


class SyncConnection:
    """A connection for one caller at a time; unusable after an error."""

    def __init__(self, endpoint: Endpoint, connected: socket.socket) -> None:
        self._endpoint = endpoint
        self._socket = connected
        self._reader = reader()
        self._poll = select.poll() if hasattr(select, "poll") else None  # not on Windows
        if self._poll is not None:
            self._poll.register(connected, select.POLLIN)

    @classmethod
    async def connect(cls, endpoint: Endpoint, tls: ssl.SSLContext | None, deadline: float) -> SyncConnection:
        """A connection to `endpoint`; see `Connect`."""
        # A handshake of TLS may take many steps, each with its timeout, so another thread connects and this one waits.
        made: Future[socket.socket] = Future()
        Thread(target=_connect, args=(endpoint, tls, deadline, made), name="traffik-connect", daemon=True).start()
        try:
            return cls(endpoint, made.result(_left(deadline)))
        except BaseException:
            if not made.cancel() and made.exception() is None:
                made.result().close()
            raise

    def exchange(self, payload: bytes, replies: int, deadline: float) -> list[Any]:
        """Send `payload`, and wait for the number of `replies`.

        Raises:
            BackendError: they did not arrive. The connection is closed, and the commands may have been carried out.
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
        except BaseException as error:
            self.close()  # also if interrupted: the next caller must not get a reply that is still to come
            if isinstance(error, TimeoutError):
                raise BackendTimeoutError(f"{self._endpoint} did not answer in time", maybe_executed=True) from None
            if isinstance(error, UNREADABLE):
                raise unreadable(self._endpoint, error) from error
            if isinstance(error, OSError):
                text = f"the connection to {self._endpoint} was lost ({error})"
                raise BackendError(text, maybe_executed=True) from error
            raise

    def _received(self) -> bytes:
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("closed by the server")
        return data

    async def ask(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        return self.exchange(pack(commands), len(commands), deadline)

    def gone(self) -> bool:
        """Whether the server has closed the connection, or has sent an unexpected reply."""
        if self._reader.has_data():
            return True
        if self._poll is not None and not self._poll.poll(0):
            return False
        self._socket.settimeout(0)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):  # only data of the TLS protocol
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        self._socket.close()


def _connect(endpoint: Endpoint, tls: ssl.SSLContext | None, deadline: float, made: Future[socket.socket]) -> None:
    try:
        connected = _connected(endpoint, tls, deadline)
    except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for the socket
        with suppress(InvalidStateError):
            made.set_exception(error)
        return
    try:
        made.set_result(connected)
    except InvalidStateError:  # the other thread has stopped waiting
        connected.close()


def _connected(endpoint: Endpoint, tls: ssl.SSLContext | None, deadline: float) -> socket.socket:
    """A socket to the first address of an endpoint that answers in its share of the time."""
    if endpoint.path is not None:
        return _reached(socket.AF_UNIX, endpoint.path, None, endpoint, _left(deadline))
    error: OSError = OSError("there is no address")
    found = look_up(endpoint).result(_left(deadline))
    for place, (family, _, _, _, address) in enumerate(found):
        try:
            return _reached(family, address, tls, endpoint, _left(deadline) / (len(found) - place))
        except OSError as refused:
            error = refused
    raise error


def _reached(
    family: int, address: Any, tls: ssl.SSLContext | None, endpoint: Endpoint, seconds: float
) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.settimeout(seconds)
        one.connect(address)
        if endpoint.path is None:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return one if tls is None else tls.wrap_socket(one, server_hostname=endpoint.host)
    except BaseException:
        one.close()
        raise


def _left(deadline: float) -> float:
    """Seconds until the deadline.

    Raises:
        TimeoutError: the deadline has passed.
    """
    seconds = deadline - monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
