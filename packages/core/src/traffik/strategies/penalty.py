"""Penalty: a sliding window that bans a key which uses it up, for longer each time.

The units of a key are counted as by `SlidingWindow`. The hit that takes the last of them is admitted, and starts a ban:
nothing is admitted until it ends. The first ban lasts `base`, each later one `factor` times as long as the one before,
and none longer than `longest`. When no ban has been in force for `forget`, the bans are forgotten, and the next one is
a first one.

Admits no more than the limit in any window, as `SlidingWindow` does, for bans of any length. Between the hit that
starts the n-th ban and the next admitted hit, at least the length of that ban passes. Waits are exact: until the ban is
over and the window has room.

State ``(bans, since, until, window)``: the number of bans that are remembered, when the latest one began and ends, and
the state of the window. If the clock goes back so far that a ban would last longer than `longest`, it ends `longest`
after the new time.

Settling: the receipt of a hit is that of the window. If units of a hit are given back while a ban is in force that
counted them, the ban is lifted and forgotten, since without them it would not have begun. Units that are charged in any
case start a ban if they use up the window; such a ban is not lifted, and neither is one by a refund without a receipt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias

from traffik.model.decisions import NEVER, Decision
from traffik.model.errors import RateError
from traffik.model.rates import Rate, Time, parse_time
from traffik.strategies.base import (
    UNCHANGED,
    Kernel,
    Receipt,
    Settled,
    Settlement,
    Settler,
    State,
    Transition,
    settled,
)
from traffik.strategies.sliding_window import SlidingWindow

__all__ = ["Penalty"]

_Bans: TypeAlias = tuple[int, ...]
"""µs of the first ban, the second, and so on; the last one is repeated."""

_FRESH: Final[State] = (0, 0, 0, None)

_CHARGED: Final = -1
"""The beginning of a ban that units charged in any case have started."""

_MOST_FACTOR: Final = 1_000


@dataclass(frozen=True, slots=True)
class Penalty:
    """At most `limit` in any window; using it up refuses everything for a time that grows with each repetition.

    Args:
        base: the length of the first ban, text such as ``"10 min"`` or a `timedelta`; the period of the rate if None.
        factor: how many times as long each further ban is, an integer from 1 to 1,000.
        longest: the longest ban.
        forget: time after the end of a ban at which all bans are forgotten, if there has been no other.

    Raises:
        RateError: a time is none.
        ValueError: the factor is not an integer, or out of its range.
    """

    calendar: ClassVar[bool] = False
    """Calendar periods are not counted: the bans would be left out."""

    base: Time | None = None
    factor: int = 2
    longest: Time = "1 day"
    forget: Time = "1 day"

    def __post_init__(self) -> None:
        if type(self.factor) is not int or not 1 <= self.factor <= _MOST_FACTOR:
            raise ValueError(f"a factor is an integer from 1 to {_MOST_FACTOR}, not {self.factor!r}")
        self._times(Rate(1, 1))

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return rate.limit

    def prepare(self, rate: Rate) -> Kernel:
        bans, forget = self._times(rate)
        return _kernel(SlidingWindow().prepare(rate), rate, bans, forget)

    def receipt(self, before: State | None, after: State, rate: Rate) -> Receipt:
        return self.settler(rate).receipt(before, after)

    def settle(self, state: State | None, rate: Rate, delta: int, receipt: Receipt | None, now: int) -> Settled:
        return settled(self.prepare(rate), state, self.settler(rate).settle(state, delta, receipt, now), now)

    def settler(self, rate: Rate) -> Settler:
        window, (bans, forget) = SlidingWindow(), self._times(rate)
        kernel, window_settler = window.prepare(rate), window.settler(rate)

        def receipt_of(_: State | None, after: State) -> Receipt:
            return window_settler.receipt(None, after[3])

        def settle(state: State | None, delta: int, receipt: Receipt | None, now: int) -> Settlement:
            if delta < 0 and state is None:
                return UNCHANGED
            count, since, until, inner = _at(state or _FRESH, now, bans, forget)
            changed, ttl, applied = window_settler.settle(inner, delta, receipt, now)
            if changed is None:
                return UNCHANGED
            if delta < 0 and receipt is not None and now < until and receipt[0] <= since:
                count, since, until = count - 1, 0, now if count > 1 else 0
            elif delta > 0 and now >= until and kernel(changed, 0, now)[0].remaining == 0:
                count, since, until = min(count, len(bans)) + 1, _CHARGED, now + bans[min(count, len(bans) - 1)]
            return (count, since, until, changed), max(ttl, _memory(count, until, forget, now)), applied

        return Settler(receipt_of, settle)

    def _times(self, rate: Rate) -> tuple[_Bans, int]:
        """The lengths of the bans, and the time after which they are forgotten."""
        longest, forget = parse_time(self.longest, "longest"), parse_time(self.forget, "forget")
        base = rate.period if self.base is None else parse_time(self.base, "base")
        if self.base is not None and base > longest:
            raise RateError(f"the first ban of {self!r} would be longer than its longest one")
        bans = [min(base, longest)]
        while self.factor > 1 and bans[-1] < longest:
            bans.append(min(longest, bans[-1] * self.factor))
        return tuple(bans), forget


def _kernel(window: Kernel, rate: Rate, bans: _Bans, forget: int) -> Kernel:
    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        before = state or _FRESH
        count, since, until, inner = known = _at(before, now, bans, forget)
        if until != before[2]:  # the clock has gone far back, or the bans are forgotten
            inner = window(inner, rate.limit + 1, now)[1] or inner
            known = count, since, until, inner
        if now < until:
            decision = _banned(window, rate, inner, cost, until, now)
            changed = known if cost == 0 or until != before[2] else None
            return decision, changed, max(decision.reset_after, until + forget - now)
        decision, changed, ttl = window(inner, cost, now)
        if changed is None:
            return decision, None, max(decision.reset_after, _memory(count, until, forget, now))
        if cost and decision.allowed and decision.remaining == 0:
            ban = bans[min(count, len(bans) - 1)]
            count, since, until = min(count, len(bans)) + 1, now, now + ban
            decision = decision._replace(reset_after=max(decision.reset_after, ban))
        return decision, (count, since, until, changed), max(ttl, _memory(count, until, forget, now))

    return kernel


def _at(state: State, now: int, bans: _Bans, forget: int) -> tuple[int, int, int, Any]:
    """A state at `now`: with its bans forgotten if they are old, and none longer than the longest."""
    count, since, until, inner = state
    if count and now >= until + forget:
        return 0, 0, 0, inner
    if until - now > bans[-1]:
        return count, since, now + bans[-1], inner
    return count, since, until, inner


def _banned(window: Kernel, rate: Rate, inner: State | None, cost: int, until: int, now: int) -> Decision:
    """The decision while a ban is in force: refused until it is over and the window has room."""
    reset = max(until - now, window(inner, 0, now)[0].reset_after)
    if cost == 0:
        return Decision(True, rate.limit, 0, 0, reset, rate)
    wait = window(inner, cost, until)[0].retry_after
    return Decision(False, rate.limit, 0, wait if wait >= NEVER else until - now + wait, reset, rate)


def _memory(count: int, until: int, forget: int, now: int) -> int:
    """µs for which the bans of a state `_at` this time are remembered."""
    return until + forget - now if count else 0
