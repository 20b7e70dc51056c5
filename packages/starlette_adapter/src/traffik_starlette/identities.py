"""Whose quota it is, in Starlette's words, beside `traffik.identities`: only Starlette knows its users."""

from __future__ import annotations

from typing import Any, Final

from traffik.identities import CredentialIdentifier

__all__ = ["user"]


def _find(connection: Any, _: object) -> str | None:
    who = connection.scope.get("user")
    if who is None or not who.is_authenticated:
        return None
    try:
        return f"user:{who.identity}"
    except (AttributeError, NotImplementedError):  # Starlette's own SimpleUser has no more than a name
        return f"user:{who.display_name}"


user: Final = CredentialIdentifier("user", _find)
"""The user that `AuthenticationMiddleware` has found, by their `identity` or else their `display_name`.

Anybody else is counted by address. Hit the throttle where the middleware has run: in a route, or in a middleware that
is added before it and so stands inside it.
"""
