"""Whose quota it is, in Django's words. Each of these is an identifier; settings know them by their names.

Whoever is nobody yet (an anonymous user, a new visitor) is counted by address, so that to stay anonymous gains nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Container
from typing import Any, Final, TypeAlias

from traffik.adapters import adapter_of
from traffik.clients import client_identity
from traffik.errors import ConfigurationError

__all__ = ["Identifier", "api_key", "header", "ip", "named", "session", "user"]

Identifier: TypeAlias = Callable[..., object]
"""A function of the request (and the context), sync or async, as `traffik.HTTPThrottle` takes it."""


def ip(request: Any) -> str:
    """The address at the other end of the socket, as a throttle without an identifier takes it."""
    peer = adapter_of(request).peer(request)
    if peer is None:
        raise ConfigurationError(f"{request!r} has no address at its other end: give the throttle another identifier")
    return client_identity(peer)


def user(request: Any) -> str | Awaitable[str]:
    """The user who is logged in, as Django finds them: `request.user` or, in async code, `request.auser`."""
    if asyncio._get_running_loop() is None or not hasattr(request, "auser"):
        return _user(request, request.user)
    return _auser(request)


def session(request: Any) -> str | Awaitable[str]:
    """The session, if there is one with something in it: a session key that a client makes up is none."""
    if asyncio._get_running_loop() is None:
        # To ask for its keys loads it, which is what tells whether it exists.
        return _session(request, request.session.keys())
    return _asession(request)


def header(name: str) -> Identifier:
    """The value of a header that a proxy in front of this service sets itself, whatever the client has sent.

    A header that clients can set lets each have as many quotas as it can make up values: use `api_key` for those.
    """

    def identify(request: Any) -> str:
        value = request.headers.get(name)
        return f"{name.lower()}:{value}" if value else ip(request)

    return identify


def api_key(name: str, known: Container[str] | Callable[[str], object]) -> Identifier:
    """The API key in the header `name`, if it is a known one: in a container, or one for which a function is true."""
    accepts = known if callable(known) else known.__contains__

    def identify(request: Any) -> str:
        value = request.headers.get(name)
        return f"{name.lower()}:{value}" if value and accepts(value) else ip(request)

    return identify


_NAMED: Final[dict[str, Identifier]] = {"ip": ip, "session": session, "user": user, "user_or_ip": user}


def named(name: str) -> Identifier:
    """The identifier of that name: ``ip``, ``user``, ``user_or_ip``, ``session`` or ``header:NAME``.

    Raises:
        ValueError: there is none.
    """
    kind, _, rest = name.partition(":")
    if kind == "header" and rest:
        return header(rest)
    if name not in _NAMED:
        raise ValueError(f"no identifier is called {name!r}; there are {', '.join(_NAMED)} and header:NAME")
    return _NAMED[name]


def _user(request: Any, who: Any) -> str:
    return f"user:{who.pk}" if who.is_authenticated else ip(request)


async def _auser(request: Any) -> str:
    return _user(request, await request.auser())


def _session(request: Any, content: Collection[str]) -> str:
    # Not every kind of session forgets a key that does not exist, but none has anything for it.
    key = request.session.session_key
    return f"session:{key}" if key and content else ip(request)


async def _asession(request: Any) -> str:
    return _session(request, await request.session.akeys())
