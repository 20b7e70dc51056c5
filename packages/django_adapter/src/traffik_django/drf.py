"""Throttle classes for Django REST framework, under the names of DRF's own: each decision is one atomic step.

They read ``REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]`` as DRF does, and take any rate that traffik knows. A request that
one of them has refused is not counted by those after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from traffik.identities.proxies import EXEMPTED
from traffik.model.decisions import FORBIDDEN, UNAVAILABLE, Decision
from traffik.model.keys import MAX_LENGTH
from traffik.model.rates import Rates
from traffik_django.identities import ip
from traffik_django.limits import HTTPThrottle

__all__ = ["AnonRateThrottle", "RateThrottle", "ScopedRateThrottle", "UserRateThrottle"]

_REFUSED: Final = "_traffik_refused"
"""The attribute of a request which one of these has refused: the others count it no more."""


@dataclass(frozen=True, slots=True)
class _RateOf:
    """The rate of a scope, read at each request so that a test may override it.

    It equals another one that reads the same rate, so that classes with different rates cannot share a quota unseen.
    """

    throttle: RateThrottle = field(compare=False, repr=False)
    read: Any = field(repr=False)
    own: Rates | None
    scope: str

    def __call__(self) -> Rates | None:
        return self.throttle.get_rate(self.scope)


class RateThrottle(BaseThrottle):
    """A limit for API views; a user who is logged in has a quota wherever they are, anybody else by address.

    Attributes:
        rate: for a subclass with a rate of its own.
        scope: the name of its rate in DEFAULT_THROTTLE_RATES, and of its quota; views with one scope share it. A
            subclass that sets a rate and no scope has a quota of its own.
        decision: on the most recent request.
    """

    rate: ClassVar[Rates | None] = None
    scope: ClassVar[str | None] = None
    decision: Decision | None = None
    _jitter = 0
    _made: ClassVar[dict[str, HTTPThrottle]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._made = {}  # with the class, so that its throttles go when it goes
        if "rate" in vars(cls) and cls.rate is not None and "scope" not in vars(cls):
            cls.scope = f"{cls.__module__}.{cls.__qualname__}"

    def get_scope(self, view: Any) -> str | None:
        """The scope of a view; None to let it be."""
        return self.scope or f"{type(self).__module__}.{type(self).__qualname__}"

    @staticmethod
    def identify(request: Any) -> object:
        """Whose quota it is."""
        return f"user:{request.user.pk}" if request.user and request.user.is_authenticated else ip(request)

    def allow_request(self, request: Any, view: Any) -> bool:
        scope = self.get_scope(view)
        if scope is None or self.get_rate(scope) is None:
            return True
        throttle = self._throttle(scope)
        # DRF asks every throttle of a view, also when one has refused; its request is made anew for each view.
        refused = getattr(request, _REFUSED, False)
        self.decision = throttle.sync.check(request) if refused else throttle.sync.decide(request)
        if not self.decision.allowed:
            setattr(request, _REFUSED, True)
        if self.decision.degraded in {FORBIDDEN, UNAVAILABLE}:
            throttle.sync.refuse(request, self.decision)  # 403 and 503, for which a throttle of DRF has no word
        self._jitter = throttle.responses.jitter_of(self.decision.partition)
        return self.decision.allowed

    def wait(self) -> float | None:
        """Seconds until the request would be admitted, exactly, and the client's jitter; None if it never will be."""
        if self.decision is None or self.decision.never:
            return None
        return self.decision.retry_after / 1_000_000 + self._jitter

    def get_rate(self, scope: str) -> Rates | None:
        """The rate of a scope; None to switch it off, as in DRF."""
        if self.rate is not None:
            return self.rate
        settings: Any = api_settings
        found: Rates | None = settings.DEFAULT_THROTTLE_RATES.get(scope, "")
        return found

    def _throttle(self, scope: str) -> HTTPThrottle:
        throttle = self._made.get(scope)
        if throttle is None:
            cls = type(self)
            rate: Any = _RateOf(self, cls.get_rate, self.rate, scope)  # where it is None, `allow_request` does not ask
            throttle = self._made[scope] = HTTPThrottle(f"drf:{scope}"[-MAX_LENGTH:], rate, identifier=cls.identify)
        return throttle


class AnonRateThrottle(RateThrottle):
    """A limit for those who are not logged in, by address."""

    scope = "anon"

    @staticmethod
    def identify(request: Any) -> object:
        return EXEMPTED if request.user and request.user.is_authenticated else ip(request)


class UserRateThrottle(RateThrottle):
    """A limit for everybody."""

    scope = "user"


class ScopedRateThrottle(RateThrottle):
    """A limit by the ``throttle_scope`` of the view; a view without one is let be."""

    def get_scope(self, view: Any) -> str | None:
        scope: str | None = getattr(view, "throttle_scope", None)
        return scope
