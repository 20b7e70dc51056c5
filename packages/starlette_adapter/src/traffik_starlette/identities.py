"""An identifier for the users of Starlette's `AuthenticationMiddleware`, in addition to `traffik.identities`."""

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
    except (AttributeError, NotImplementedError):  # Starlette's own SimpleUser has only a name
        return f"user:{who.display_name}"


user: Final = CredentialIdentifier("user", _find)
"""The user that `AuthenticationMiddleware` has found, by their `identity` or else their `display_name`.

Other clients are limited by address. Hit the throttle after that middleware has run: in a route, or in a middleware
that is added before it and so runs inside it.
"""
