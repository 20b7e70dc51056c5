"""How an identifier is prepared for calls, and the errors for what is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from traffik.model.callables import Callback, callback

__all__ = ["Identifier", "prepare_identifier"]

Identifier: TypeAlias = Callable[..., object]
"""An identifier: a function of the connection (and the context), sync or async."""

_ROOM: Final = "traffik.identities.identifiers"
_MAKERS: Final = frozenset(
    {"address", "api_key", "bearer", "combined", "cookie", "deny", "exempt", "first_of", "hashed", "header", "user"}
)
"""Functions of `traffik.identities` that make an identifier. Given by mistake, they would be called with a request."""


def prepare_identifier(identifier: Identifier) -> Callback:
    """An identifier, prepared for calls.

    Raises:
        TypeError: it cannot be called with the connection and the context, or is a function that makes an identifier.
    """
    if isinstance(identifier, str):
        raise TypeError(
            f"an identifier is a function, not the text {identifier!r}: traffik.identities has some ready to use"
        )
    name = getattr(identifier, "__qualname__", "")
    if name in _MAKERS and getattr(identifier, "__module__", "") == _ROOM:
        raise TypeError(f"{name} makes an identifier and is none itself: call it, as in identifier={name}(...)")
    return callback("the identifier", identifier, ("connection", "context"))
