"""The names of the strategies, for files of limits and command lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from traffik.model.errors import ConfigurationError
from traffik.strategies.base import Strategy
from traffik.strategies.fixed_window import FixedWindow
from traffik.strategies.meter import GCRA, LeakyBucket, TokenBucket
from traffik.strategies.penalty import Penalty
from traffik.strategies.sliding_counter import SlidingCounter
from traffik.strategies.sliding_window import SlidingLog, SlidingWindow

__all__ = ["STRATEGIES", "strategy_named"]

STRATEGIES: Final[Mapping[str, type[Any]]] = {
    "sliding-window": SlidingWindow,
    "fixed-window": FixedWindow,
    "sliding-counter": SlidingCounter,
    "sliding-log": SlidingLog,
    "token-bucket": TokenBucket,
    "leaky-bucket": LeakyBucket,
    "gcra": GCRA,
    "penalty": Penalty,
}
"""All built-in strategies, the default first."""

_METERS: Final = ("token-bucket", "leaky-bucket", "gcra")


def strategy_named(name: str | None, *, burst: int | None = None, debt: int | None = None) -> Strategy:
    """The strategy with a name.

    Args:
        name: one of `STRATEGIES`, also with underscores and in upper case; None for the default.
        burst: the capacity of a token bucket, leaky bucket or GCRA, at least 1; None for the limit of the rate.
        debt: the units by which a token bucket may be overdrawn, 0 or more; None for 0.

    Raises:
        ConfigurationError: there is no strategy with this name, or it has no such setting.
        ValueError: a number is out of its range.
    """
    plain = "sliding-window" if name is None else name.strip().lower().replace("_", "-")
    kind = STRATEGIES.get(plain)
    if kind is None:
        raise ConfigurationError(f"there is no strategy {name!r}; the strategies are {', '.join(STRATEGIES)}")
    settings: dict[str, Any] = {}
    if burst is not None:
        if plain not in _METERS:
            raise ConfigurationError(f"{plain} has no burst; {', '.join(_METERS)} have one")
        settings["burst"] = burst
    if debt is not None:
        if plain != "token-bucket":
            raise ConfigurationError(f"{plain} has no debt; token-bucket has one")
        settings["debt"] = debt
    made: Strategy = kind(**settings)
    return made
