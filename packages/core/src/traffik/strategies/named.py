"""Strategies by name, for where there is only text: a file of limits, a command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from traffik.model.errors import ConfigurationError
from traffik.strategies.base import Strategy
from traffik.strategies.fixed_window import FixedWindow
from traffik.strategies.meter import GCRA, LeakyBucket, TokenBucket
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
}
"""Every built-in strategy, the default first."""

_METERS: Final = ("token-bucket", "leaky-bucket", "gcra")


def strategy_named(name: str | None, *, burst: int | None = None, debt: int | None = None) -> Strategy:
    """The strategy called `name`, the sliding window if None.

    Args:
        name: one of `STRATEGIES`; underscores and capitals are as good.
        burst: the capacity of a meter, at least 1; None for the rate's limit.
        debt: how far a token bucket may be overdrawn; None for not at all.

    Raises:
        ConfigurationError: there is none of that name, or it does not take what was given.
        ValueError: a number is out of its range.
    """
    plain = "sliding-window" if name is None else name.strip().lower().replace("_", "-")
    kind = STRATEGIES.get(plain)
    if kind is None:
        raise ConfigurationError(f"no strategy is called {name!r}; there are {', '.join(STRATEGIES)}")
    settings: dict[str, int] = {}
    if burst is not None:
        if plain not in _METERS:
            raise ConfigurationError(f"{plain} has no burst; {', '.join(_METERS)} do")
        settings["burst"] = burst
    if debt is not None:
        if plain != "token-bucket":
            raise ConfigurationError(f"{plain} takes no debt; token-bucket does")
        settings["debt"] = debt
    made: Strategy = kind(**settings)
    return made
