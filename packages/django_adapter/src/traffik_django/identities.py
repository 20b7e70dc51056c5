"""Identifiers for Django's users and sessions, in addition to `traffik.identities`. The settings know them by name.

Clients without a login or a session are limited by address, so staying anonymous gains nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any, Final

from traffik.identities import CredentialIdentifier, Identifier, address, digest, header

__all__ = ["ip", "named", "session", "user"]


def _user(who: Any) -> str | None:
    return f"user:{who.pk}" if who.is_authenticated else None


async def _auser(request: Any) -> str | None:
    return _user(await request.auser())


def _find_user(request: Any, _: object) -> str | Awaitable[str | None] | None:
    if asyncio._get_running_loop() is None or not hasattr(request, "auser"):
        return _user(request.user)
    return _auser(request)


def _session(request: Any, content: Collection[str]) -> str | None:
    # Some session backends keep a key that does not exist, but none has data for it.
    key = request.session.session_key
    return f"session:{digest(key)}" if key and content else None


async def _asession(request: Any) -> str | None:
    return _session(request, await request.session.akeys())


def _find_session(request: Any, _: object) -> str | Awaitable[str | None] | None:
    if asyncio._get_running_loop() is None:
        # reading its keys loads the session, which shows whether it exists
        return _session(request, request.session.keys())
    return _asession(request)


ip: Final = address()
"""The address of the client, which is the default of a throttle."""

user: Final = CredentialIdentifier("user", _find_user)
"""The user who is logged in, as Django finds them: `request.user` or, in async code, `request.auser`."""

session: Final = CredentialIdentifier("session", _find_session)
"""The session, if it exists and has data. A session key that a client invents has none."""

_NAMED: Final[dict[str, Identifier]] = {"ip": ip, "session": session, "user": user, "user_or_ip": user}


def named(name: str) -> Identifier:
    """The identifier with this name: ``ip``, ``user``, ``user_or_ip``, ``session`` or ``header:NAME``.

    Raises:
        ValueError: there is no such identifier.
    """
    kind, _, rest = name.partition(":")
    if kind == "header" and rest:
        return header(rest)
    if name not in _NAMED:
        raise ValueError(f"no identifier is called {name!r}; there are {', '.join(_NAMED)} and header:NAME")
    return _NAMED[name]
