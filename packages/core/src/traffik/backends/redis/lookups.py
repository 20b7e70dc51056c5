"""Looks up the addresses of a server, in a thread, since the lookups of the system have no timeout.

A name that is being looked up is not looked up again, so a name server that hangs costs one thread for each name. The
threads of an event loop's executor are not used, since the application needs them.
"""

from __future__ import annotations

import os
import socket
from concurrent.futures import Future
from threading import RLock, Thread
from typing import Any, Final, TypeAlias

from traffik.backends.redis.settings import Endpoint

__all__ = ["SocketAddress", "look_up"]

SocketAddress: TypeAlias = tuple[Any, ...]
"""A family, a type, a protocol, a name and the address itself, as `socket.getaddrinfo` returns them."""


def look_up(endpoint: Endpoint) -> Future[list[SocketAddress]]:
    """The addresses of a host. The result is an OSError if there are none."""
    host, port = endpoint.host, endpoint.port
    try:
        numeric: list[SocketAddress] = [
            *socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        ]
    except OSError:
        return _begin(host, port)
    found: Future[list[SocketAddress]] = Future()
    found.set_result(numeric)
    return found


def _begin(host: str, port: int) -> Future[list[SocketAddress]]:
    with _lock:
        found = _running.get((host, port))
        if found is None:
            found = Future()
            found.set_running_or_notify_cancel()  # one caller must not cancel it for the others
            thread = Thread(target=_look_up, args=(host, port, found), name="traffik-lookup", daemon=True)
            thread.start()
            _running[host, port] = found
    return found


def _look_up(host: str, port: int, found: Future[list[SocketAddress]]) -> None:
    try:
        addresses: list[SocketAddress] = [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        answer: list[SocketAddress] | Exception = addresses or OSError("the host name has no address")
    except Exception as error:  # noqa: BLE001 - raised where the result is awaited
        answer = error
    with _lock:
        _running.pop((host, port), None)
    if isinstance(answer, Exception):
        found.set_exception(answer)
    else:
        found.set_result(answer)


_lock: RLock = RLock()  # a signal handler may look up a name while its thread holds it
_running: Final[dict[tuple[str, int], Future[list[SocketAddress]]]] = {}


def _after_fork_in_child() -> None:
    # The threads have stayed in the parent, and one of them may have held the lock.
    global _lock  # noqa: PLW0603 - only here
    _lock = RLock()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
