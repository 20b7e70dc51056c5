"""Connected sockets for sync code, by a deadline: the look-up of a name, connecting and TLS all count towards it."""

from __future__ import annotations

import socket
import ssl
import time
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeAlias

from traffik.backends.redis.settings import Endpoint

__all__ = ["connected", "left"]

_Found: TypeAlias = list[tuple[Any, ...]]
"""Addresses, as `socket.getaddrinfo` answers them."""


def connected(endpoint: Endpoint, tls: ssl.SSLContext | None, deadline: float) -> socket.socket:
    """A socket connected to `endpoint`.

    Raises:
        TimeoutError: it is not by the deadline, on the monotonic clock in seconds.
        OSError: it cannot be.
    """
    if endpoint.path is not None:
        return _connected(socket.AF_UNIX, endpoint.path, left(deadline))
    plain = _to_one_of(_addresses(endpoint, deadline), deadline)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return plain
    try:
        plain.settimeout(left(deadline))
        return tls.wrap_socket(plain, server_hostname=endpoint.host)
    except BaseException:  # whatever it is, it goes on; the socket would stay open
        plain.close()
        raise


def left(deadline: float) -> float:
    """Seconds until the deadline.

    Raises:
        TimeoutError: it is over.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _to_one_of(found: _Found, deadline: float) -> socket.socket:
    """A socket connected to the first address that answers in its part of the time."""
    error: OSError = OSError("its name has no address")
    for place, (family, _, _, _, address) in enumerate(found):
        try:
            return _connected(family, address, left(deadline) / (len(found) - place))
        except OSError as refused:
            error = refused
    raise error


def _connected(family: socket.AddressFamily, address: Any, seconds: float) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.settimeout(seconds)
        one.connect(address)
    except BaseException:  # as above
        one.close()
        raise
    return one


def _addresses(endpoint: Endpoint, deadline: float) -> _Found:
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        return socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=numeric)
    except socket.gaierror:
        # The system's look-up of a name knows no deadline, so a thread of its own waits for it.
        answer: Future[_Found] = Future()
        Thread(target=_look_up, args=(endpoint, answer), name="traffik-look-up", daemon=True).start()
        return answer.result(left(deadline))


def _look_up(endpoint: Endpoint, answer: Future[_Found]) -> None:
    try:
        answer.set_result(socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM))
    except BaseException as error:  # noqa: BLE001 - it is raised where the answer is waited for
        answer.set_exception(error)
