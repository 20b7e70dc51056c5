"""Tiers: a table of rates by name, and a function that tells the tier of a client, such as its plan.

    throttle = HTTPThrottle("api", Tiers({"free": "100/hour", "pro": "5,000/hour"}, tier=plan_of, default="free"))

A table is a rate function with known answers: all its rates are checked when the limit is made. The key of a client
does not depend on its tier, so what it has used still counts when its tier changes, as with `update`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

from traffik.model.callables import Callback, Context, callback, then
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError, RateError
from traffik.model.rates import Rate, Rates, check_one_unit, parse_rates
from traffik.notices import misconfiguration
from traffik.strategies import Strategy, plan

__all__ = ["TierFunction", "Tiers", "check_tiers", "in_place", "text_in_place"]

TierFunction: TypeAlias = Callable[..., str | Awaitable[str | None] | None]
"""A function of the connection (or the identity) and the context that returns the name of a tier, or None."""


class Tiers:
    """The rates of each tier, for the argument `rate` of throttles and limiters.

    Args:
        rates: the rate or rates of each tier, by its name. ``"unlimited"`` counts nothing.
        tier: a function of the connection (or the identity) and the context, sync or async, that returns the name of a
            tier, or None for the default.
        default: the tier for None and for unknown names, with a notice about the first of those. Without a default,
            both are an error.

    Raises:
        RateError: a rate is invalid, the tiers count different units, or calendar periods in some and lengths of time
            in others.
        TypeError, ValueError: another argument is invalid.
    """

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # compared by value, as other rates are, but never a key

    def __init__(
        self,
        rates: Mapping[str, Rates],
        tier: TierFunction,
        *,
        default: str | None = None,
    ) -> None:
        if not isinstance(rates, Mapping) or not rates or not all(isinstance(name, str) for name in rates):
            raise TypeError(f'tiers are rates by name, such as {{"free": "100/hour"}}, not {describe(rates)}')
        self.rates: Mapping[str, tuple[Rate, ...]] = MappingProxyType(
            {name: _parsed(name, given) for name, given in rates.items()}
        )
        check_tiers(self.rates.values())
        if default is not None and default not in self.rates:
            raise ValueError(f"the default is one of the tiers {_listed(self.rates)}, not {describe(default)}")
        self.tier: Callback = callback("the tier function", tier, ("connection", "context"))
        self.default = default
        # as text, since that is the fastest to look up
        self._texts: dict[str | None, str] = {name: text_in_place(each) for name, each in self.rates.items()}
        if default is not None:
            self._texts[None] = self._texts[default]
        self._noticed = False

    @property
    def all_rates(self) -> tuple[Rate, ...]:
        """The rates of all tiers, each once."""
        return tuple(dict.fromkeys(rate for each in self.rates.values() for rate in each))

    def with_rates(self, rates: Mapping[str, Rates], *, default: str | None = None) -> Tiers:
        """Other rates, told by the same function."""
        return Tiers(rates, self.tier.function, default=default)

    def check(self, strategy: Strategy) -> None:
        """Check that `strategy` can count all rates.

        Raises:
            RateError: it cannot.
        """
        for name, rates in self.rates.items():
            try:
                plan(strategy, rates, varying=True)
            except RateError as error:
                raise RateError(f"tier {name!r}: {error}") from None

    def __call__(self, connection: Any, context: Context) -> str | Awaitable[str]:
        """The rates of a client, as text."""
        name = self.tier.call(connection, context)
        if type(name) is str:
            return self._texts.get(name) or self._text_of(name)
        answer: str | Awaitable[str] = then(name, self._text_of)
        return answer

    def _text_of(self, name: object) -> str:
        if name is None or isinstance(name, str):
            found = self._texts.get(name)
            if found is not None:
                return found
            if self.default is not None:
                self._notice(name)
                return self._texts[self.default]
        raise ConfigurationError(
            f"{self.tier.name} has returned {describe(name)[:80]}, which is not one of the tiers "
            f"{_listed(self.rates)}: add it, or give default="
        )

    def _notice(self, name: object) -> None:
        if not self._noticed:
            self._noticed = True
            misconfiguration.unknown_tier(self.tier.name, describe(name)[:80], _listed(self.rates), str(self.default))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tiers):
            return NotImplemented
        mine, theirs = (self.rates, self.default, self.tier.written), (other.rates, other.default, other.tier.written)
        return mine == theirs

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (dict(self.rates), self.tier.function, self.default)

    def __repr__(self) -> str:
        rates = {name: "; ".join(map(str, each)) or "unlimited" for name, each in self.rates.items()}
        default = "" if self.default is None else f", default={self.default!r}"
        return f"Tiers({rates!r}, tier={describe(self.tier.function)}{default})"


def _again(rates: Mapping[str, Rates], tier: Callable[..., Any], default: str | None) -> Tiers:
    return Tiers({name: each or "unlimited" for name, each in rates.items()}, tier, default=default)


def _parsed(name: str, rates: Rates) -> tuple[Rate, ...]:
    try:
        return parse_rates(rates)
    except RateError as error:
        raise RateError(f"tier {name!r}: {error}") from None


def check_tiers(tiers: Collection[Sequence[Rate]]) -> None:
    """Check that the usage of a client can follow it from each tier to each other.

    Raises:
        RateError: they count different units, or a calendar period would follow on a length of time, or the reverse.
    """
    check_one_unit([rate for rates in tiers for rate in rates])
    for rates in zip_longest(*map(in_place, tiers)):
        kinds = {rate.calendar is None: rate for rate in rates if rate is not None}
        if len(kinds) > 1:
            raise RateError(
                f"usage does not follow from {str(kinds[True])!r} to {str(kinds[False])!r} when a tier changes: "
                f"give all tiers calendar periods, or lengths of time"
            )


def in_place(rates: Sequence[Rate]) -> list[Rate]:
    """The rates in the order in which the state of a client holds them: calendar periods first, then the longest.

    So the longest keeps its place when the tier changes to one with more rates, or with fewer.
    """
    return sorted(rates, key=lambda rate: (rate.calendar is None, -rate.period))


def text_in_place(rates: Sequence[Rate]) -> str:
    """The rates `in_place`, as text."""
    return "; ".join(map(str, in_place(rates))) or "unlimited"


def _listed(rates: Mapping[str, object]) -> str:
    return ", ".join(map(repr, rates))
