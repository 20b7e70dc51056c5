"""Slices: units that a process takes from a store at once, and spends a little later without asking the store again.

A unit that is spent after it was taken counts in the store from an earlier time than it should, so it would also leave
the window too early. `slicing_of` returns how to count a limit, and until when the units of a slice may be spent, so
that the promise of the strategy holds for the times at which units are spent. With W the period, L the limit, and T the
life of a slice, a unit taken at t is spent at s, with t <= s < t + T:

- `SlidingWindow`, `SlidingLog`: the store counts the limit in windows of W + T. Units spent in [x, x + W) were taken in
  (x - T, x + W), which is shorter than W + T, so at most L of them exist.
- `FixedWindow`, `CalendarWindow`: a slice also ends with the window in which it was taken. So each window spends at
  most the units taken in it, which are at most L.
- `SlidingCounter`: a slice also ends with its window. While no unit is taken, the weight of the window before only
  falls. So the estimate at the time of spending is at most that at the last taking, which was at most L.
- `TokenBucket`, `LeakyBucket`, `GCRA`: the store counts with a burst that is smaller by the units that drain in T,
  r·T. Units spent in [x, y) were taken in (x - T, y), so they are at most burst - r·T + r·(y - x + T), which is what
  the whole burst admits in [x, y).

In all of them, unspent units are given back with their receipt, which never leaves more quota than if they had not been
taken. Other strategies have no slices, and neither have limits with several rates or with a rate function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from traffik.model.decisions import Decision
from traffik.model.rates import Rate
from traffik.strategies.base import Kernel, State, Strategy
from traffik.strategies.calendar_window import CalendarWindow
from traffik.strategies.fixed_window import FixedWindow
from traffik.strategies.meter import GCRA, LeakyBucket, TokenBucket
from traffik.strategies.plans import Plan, plan
from traffik.strategies.sliding_counter import SlidingCounter
from traffik.strategies.sliding_window import SlidingLog, SlidingWindow

__all__ = ["LONGEST_LIFE", "SHORTEST_LIFE", "SMALLEST_SLICE", "Slicing", "slicing_of"]

LONGEST_LIFE: Final = 1_000_000
"""µs that a slice lives at most, so that units of idle processes come back soon."""

SHORTEST_LIFE: Final = 1_000
"""µs that a slice lives at least. A shorter life would often be over before the answer of the store arrives."""

SMALLEST_SLICE: Final = 2
"""The least units in the largest slice of a limit. With one unit, a slice saves nothing."""


class Slicing(NamedTuple):
    """How to count a limit whose units are taken in slices.

    Attributes:
        plan: the plan to count by. Its decisions have the original rate.
        life: µs that a slice lives at most.
        largest: the most units in a slice.
        lasts: ``lasts(decision)`` returns for how many µs the units that `decision` admitted may be spent.
    """

    plan: Plan
    life: int
    largest: int
    lasts: Callable[[Decision], int]


def slicing_of(whole: Plan, share: float, life: float) -> Slicing | None:
    """How to count the limit of `whole` with slices; None if it cannot have any, so that it is counted as it is.

    Args:
        whole: the plan of the limit.
        share: the largest slice, as a part of the limit.
        life: how long a slice lives, as a part of the period.
    """
    if len(whole.rates) != 1 or whole.several:
        return None
    (rate,), (strategy,) = whole.rates, whole.strategies
    lives = min(int(rate.period * life), LONGEST_LIFE)
    found: tuple[Strategy, Rate, int, Callable[[Decision], int]] | None = None
    if type(strategy) in (SlidingWindow, SlidingLog):
        found = strategy, Rate(rate.limit, rate.period + lives), lives, lambda _: lives
    elif type(strategy) in (FixedWindow, CalendarWindow):
        found = strategy, rate, lives, lambda decision: min(lives, decision.reset_after)
    elif isinstance(strategy, SlidingCounter) and type(strategy) is SlidingCounter:
        rest = rate.period + strategy.twin(rate).numbers[2]  # the window after this one, and the tick it may begin late
        found = strategy, rate, lives, lambda decision: min(lives, decision.reset_after - rest)
    elif isinstance(strategy, GCRA | LeakyBucket | TokenBucket):
        found = _smaller(strategy, rate, life)
    if found is None:
        return None
    counting, counted, lives, lasts = found
    prepared = plan(counting, (counted,))
    largest = int(whole.capacity * share)
    if lives < SHORTEST_LIFE or largest < SMALLEST_SLICE:
        return None
    return Slicing(_named(prepared, rate, whole.strategy), lives, largest, lasts)


def _smaller(
    strategy: GCRA | LeakyBucket | TokenBucket, rate: Rate, life: float
) -> tuple[Strategy, Rate, int, Callable[[Decision], int]] | None:
    """A meter with a burst that is smaller by the units that drain in the life of a slice."""
    burst = strategy.capacity(rate)
    has_debt = isinstance(strategy, TokenBucket) and strategy.debt
    if type(strategy) not in (GCRA, LeakyBucket, TokenBucket) or has_debt or not burst:
        return None
    lives = min(int(rate.period * burst / rate.limit * life), LONGEST_LIFE)
    tick = strategy.twin(rate).numbers[4]
    drained = -(-rate.limit * (lives + tick) // rate.period)
    if burst <= drained:
        return None
    # a burst of the rate would be used instead of that of the strategy
    return replace(strategy, burst=burst - drained), Rate(rate.limit, rate.period), lives, lambda _: lives


def _named(prepared: Plan, rate: Rate, strategy: Strategy) -> Plan:
    """The same plan, whose decisions have the original rate."""
    kernel = prepared.kernel if prepared.rates[0] is rate else _naming(prepared.kernel, rate)
    return replace(
        prepared,
        strategy=strategy,
        rates=(rate,),
        kernel=kernel,
        kernels=(kernel,),
        bounds=((prepared.capacity, rate),),
    )


def _naming(kernel: Kernel, rate: Rate) -> Kernel:
    def naming(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        decision, changed, ttl = kernel(state, cost, now)
        return decision._replace(rate=rate), changed, ttl

    return naming
