"""The throttle of traffik, typed for Django's requests, with the default identity of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from traffik.backends import binding
from traffik.identities import Identifier, prepare_identifier
from traffik.model.callables import Callback
from traffik.throttles import throttle
from traffik_django.adapter import STORE_ADVICE

if TYPE_CHECKING:
    from typing import Self

__all__ = ["HTTPThrottle", "use_identity"]

_default: list[Callback] = []
_ours: WeakSet[HTTPThrottle] = WeakSet()


def use_identity(identifier: Identifier | None) -> None:
    """Let throttles without an identifier use `identifier`; None for the address.

    Raises:
        TypeError: it cannot be called with the request and the context, or fewer of them.
    """
    made = [] if identifier is None else [prepare_identifier(identifier)]
    with binding.lock:
        _default[:] = made
        for throttle in tuple(_ours):
            throttle.refresh()


class HTTPThrottle(throttle.HTTPThrottle[HttpRequest]):
    """`traffik.HTTPThrottle` for `django.http.HttpRequest`. Without an identifier it uses the one of the settings."""

    identifier: Callback | None
    _lent: Callback | None = None

    if not TYPE_CHECKING:  # type checkers see the constructor alone

        def __new__(cls, *arguments: Any, **options: Any) -> Self:
            """Refuse a throttle that would find no store, so that `manage.py check` reports it before a request fails.

            Raises:
                ImproperlyConfigured: it has no store, and ``"traffik_django"`` is not in INSTALLED_APPS.
            """
            if apps.ready and options.get("backend") is None and not apps.is_installed("traffik_django"):
                raise ImproperlyConfigured(f"a throttle was made in a project without traffik_django: {STORE_ADVICE}")
            return super().__new__(cls, *arguments, **options)

    def refresh(self) -> None:
        if self.identifier is self._lent:  # it has none itself
            self.identifier = self._lent = _default[0] if _default else None
        super().refresh()
        _ours.add(self)
