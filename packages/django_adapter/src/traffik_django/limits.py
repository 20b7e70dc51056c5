"""The throttle of traffik, typed for Django's requests, with the default identity of the settings."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from django.http import HttpRequest

from traffik import throttles
from traffik.backends import binding
from traffik.identities import Identifier

__all__ = ["HTTPThrottle", "use_identity"]

_default: list[Identifier] = []
_ours: WeakSet[HTTPThrottle] = WeakSet()


def use_identity(identifier: Identifier | None) -> None:
    """Let throttles without an identifier use `identifier`; None for the address."""
    with binding.lock:
        _default[:] = [] if identifier is None else [identifier]
        for throttle in tuple(_ours):
            throttle.look()


class HTTPThrottle(throttles.HTTPThrottle[HttpRequest]):
    """`traffik.HTTPThrottle` for `django.http.HttpRequest`; without an identifier it uses the one of the settings."""

    def identity(self, subject: HttpRequest) -> Any:
        return _default[0](subject) if _default else super().identity(subject)

    def look(self) -> None:
        super().look()
        _ours.add(self)
        if _default:
            self._direct = None  # the one way that goes past `identity`
