"""The throttle of traffik, typed for Django's requests, with the default identity of the settings."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from traffik import throttles
from traffik_django.identities import Identifier

__all__ = ["HTTPThrottle", "use_identity"]

_default: list[Identifier] = []


def use_identity(identifier: Identifier | None) -> None:
    """Let throttles without an identifier use `identifier`; None for the address."""
    _default[:] = [] if identifier is None else [identifier]


class HTTPThrottle(throttles.HTTPThrottle[HttpRequest]):
    """`traffik.HTTPThrottle` for `django.http.HttpRequest`; without an identifier it uses the one of the settings."""

    def identity(self, subject: HttpRequest) -> Any:
        return _default[0](subject) if _default else super().identity(subject)

    def look(self) -> None:
        super().look()
        self._direct = None  # the one way that goes past `identity`
