"""Throttle classes for Django REST framework, with the names of DRF's own classes. Each decision is one atomic step.

They read ``REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]`` as DRF does, and take any rate that traffik knows. A request that
one of them has refused is not counted by the following ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from django.core.exceptions import ImproperlyConfigured
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from traffik.identities.proxies import EXEMPTED
from traffik.model.decisions import FORBIDDEN, UNAVAILABLE, Decision
from traffik.model.keys import MAX_LENGTH
from traffik.model.rates import Rates, parse_rates
from traffik_django.identities import ip
from traffik_django.limits import HTTPThrottle

__all__ = ["AnonRateThrottle", "RateThrottle", "ScopedRateThrottle", "UserRateThrottle"]

_REFUSED: Final = "_traffik_refused"
"""The attribute of a request that one of these has refused, so that the others do not count it."""


@dataclass(frozen=True, slots=True)
class _RateOf:
    """The rate of a scope, read at each request so that a test can override it.

    It equals another one that reads the same rate. So classes with different rates that would share a quota are found.
    """

    throttle: RateThrottle = field(compare=False, repr=False)
    read: Any = field(repr=False)
    own: Rates | None
    scope: str

    def __call__(self) -> Rates | None:
        return self.throttle.get_rate(self.scope)


class RateThrottle(BaseThrottle):
    """A limit for API views: by user for clients that are logged in, by address for others.

    Attributes:
        rate: the rate of a subclass that does not read the settings.
        scope: the name of its rate in DEFAULT_THROTTLE_RATES, and of its quota. Views with the same scope share it. A
            subclass that sets a rate and no scope has its own quota.
        decision: the decision on the most recent request.
    """

    rate: ClassVar[Rates | None] = None
    scope: ClassVar[str | None] = None
    decision: Decision | None = None
    _jitter = 0
    _made: ClassVar[dict[str, HTTPThrottle]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if isinstance(vars(cls).get("rate"), str):
            parse_rates(vars(cls)["rate"])  # fails here, not at the first request
        cls._made = {}  # in the class, so that its throttles are deleted with it
        if "rate" in vars(cls) and cls.rate is not None and "scope" not in vars(cls):
            cls.scope = f"{cls.__module__}.{cls.__qualname__}"

    def get_scope(self, view: Any) -> str | None:
        """The scope of a view; None for a view without a limit."""
        return self.scope or f"{type(self).__module__}.{type(self).__qualname__}"

    @staticmethod
    def identify(request: Any) -> object:
        """The identity of the client."""
        return f"user:{request.user.pk}" if request.user and request.user.is_authenticated else ip(request)

    def allow_request(self, request: Any, view: Any) -> bool:
        scope = self.get_scope(view)
        if scope is None or self.get_rate(scope) is None:
            return True
        throttle = self._throttle(scope)
        # DRF asks every throttle of a view, also after one has refused. It makes a new request object for each view.
        refused = getattr(request, _REFUSED, False)
        self.decision = throttle.sync.check(request) if refused else throttle.sync.decide(request)
        if not self.decision.allowed:
            setattr(request, _REFUSED, True)
        if self.decision.degraded in {FORBIDDEN, UNAVAILABLE}:
            throttle.sync.refuse(request, self.decision)  # 403 and 503, which a DRF throttle cannot express
        self._jitter = throttle.responses.jitter_of(self.decision.partition)
        return self.decision.allowed

    def wait(self) -> float | None:
        """The exact seconds until the request would be admitted, plus the client's jitter; None if it never is."""
        if self.decision is None or self.decision.never:
            return None
        return self.decision.retry_after / 1_000_000 + self._jitter

    def get_rate(self, scope: str) -> Rates | None:
        """The rate of a scope; None for no limit, as in DRF.

        Raises:
            ImproperlyConfigured: the settings have no rate for this scope.
        """
        if self.rate is not None:
            return self.rate
        settings: Any = api_settings
        rates: dict[str, Rates | None] = settings.DEFAULT_THROTTLE_RATES
        if scope not in rates:
            raise ImproperlyConfigured(
                f"REST_FRAMEWORK['DEFAULT_THROTTLE_RATES'] has no rate for the scope {scope!r}: add one such as "
                f"{{{scope!r}: '100/min'}}, or None for no limit"
            )
        return rates[scope]

    def _throttle(self, scope: str) -> HTTPThrottle:
        throttle = self._made.get(scope)
        if throttle is None:
            cls = type(self)
            rate: Any = _RateOf(self, cls.get_rate, self.rate, scope)  # where it is None, `allow_request` does not ask
            throttle = self._made[scope] = HTTPThrottle(f"drf:{scope}"[-MAX_LENGTH:], rate, identifier=cls.identify)
        return throttle


class AnonRateThrottle(RateThrottle):
    """A limit for clients that are not logged in, by address."""

    scope: ClassVar[str | None] = "anon"

    @staticmethod
    def identify(request: Any) -> object:
        return EXEMPTED if request.user and request.user.is_authenticated else ip(request)


class UserRateThrottle(RateThrottle):
    """A limit for all clients."""

    scope: ClassVar[str | None] = "user"


class ScopedRateThrottle(RateThrottle):
    """A limit by the ``throttle_scope`` of the view. A view without one has no limit."""

    def get_scope(self, view: Any) -> str | None:
        scope: str | None = getattr(view, "throttle_scope", None)
        return scope
