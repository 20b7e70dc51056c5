"""Calendar window: at most `limit` in a day, week, month or year that begins at midnight in a time zone.

The way in which plans are billed: ``"10000/month tz=Europe/Berlin"``. A rate with a calendar period is counted like
this for any strategy of its limit, so it may be combined with others: ``"10/s; 10000/month"``.

State ``(CALENDAR, period, start, count, end)``: `start` and `end` are those of the window, `period` is the longest
period of its unit. The first item tells it from the states of other strategies, since a rate may change from a length
of time to a calendar period. In a new window the key is fresh. A charge of N is admitted iff ``count + N <= limit``. A
refused one waits for the end of the window.

Promises at most `limit` in each calendar window, and so at most 2 · limit in any stretch as long. If the clock goes
back by less than a window, the later window goes on until the clock has caught up; by more, the count is kept in the
window around the new time. If the unit or the zone has changed, the count is kept until the end of the window around
now, if its own window began in that, or may still be open. Times are those of the calendar, µs since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from traffik.model.calendars import CalendarPeriod
from traffik.model.decisions import NEVER, Decision
from traffik.model.errors import RateError
from traffik.model.rates import Rate
from traffik.strategies.base import (
    EXACT,
    UNCHANGED,
    Kernel,
    Receipt,
    Settled,
    Settlement,
    Settler,
    State,
    Transition,
    Twin,
    charge_anyway,
    inexact,
    settled,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CALENDAR", "CalendarWindow"]

CALENDAR: Final = "calendar"
"""The first item of every state."""

_Windows: TypeAlias = "Callable[[int], tuple[int, int]]"


@dataclass(frozen=True, slots=True)
class CalendarWindow:
    """At most `limit` in a calendar day, week, month or year; simple to explain, bursty where one ends."""

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return rate.limit

    def twin(self, rate: Rate) -> Twin:
        """The Lua kernel for `rate`, whose numbers a store completes with the windows around the time of the call."""
        _calendar(rate)
        return Twin("calendar_window", (rate.limit, rate.period))

    def prepare(self, rate: Rate) -> Kernel:
        return _kernel(rate, rate.limit, _windows(_calendar(rate)))

    def prepare_former(self, rate: Rate) -> Kernel:
        """The kernel for a rate that counts no more: it counts in the window of a state, and opens no other."""
        return _kernel(rate, rate.limit, None)

    def receipt(self, before: State | None, after: State, rate: Rate) -> Receipt:
        return self.settler(rate).receipt(before, after)

    def settle(self, state: State | None, rate: Rate, delta: int, receipt: Receipt | None, now: int) -> Settled:
        return settled(self.prepare(rate), state, self.settler(rate).settle(state, delta, receipt, now), now)

    def settler(self, rate: Rate) -> Settler:
        windows = _windows(_calendar(rate))
        overdraft = _kernel(rate, 2 * rate.limit, windows)

        def receipt_of(_: State | None, after: State) -> Receipt:
            return (after[2],)

        def settle(state: State | None, delta: int, receipt: Receipt | None, now: int) -> Settlement:
            if delta > 0:
                return charge_anyway(overdraft, state, delta, now)
            if state is None or (receipt is not None and receipt[0] != state[2]):
                return UNCHANGED
            era, start, used, end, now = _counting(state, windows, now, rate.period)
            given = min(-delta, used)
            return ((CALENDAR, era, start, used - given, end), end - now, -given) if given else UNCHANGED

        return Settler(receipt_of, settle)


def _calendar(rate: Rate) -> CalendarPeriod:
    if rate.calendar is None:
        raise RateError(
            f"CalendarWindow() counts calendar periods, not {str(rate)!r}: write 100/month, or 10/day tz=Europe/Berlin"
        )
    if 2 * rate.limit >= EXACT:
        raise inexact(CalendarWindow(), rate)
    return rate.calendar


def _windows(calendar: CalendarPeriod) -> _Windows:
    """`CalendarPeriod.at`, which remembers the last window: most hits are in the same one."""
    last = 0, 0

    def at(now: int) -> tuple[int, int]:
        nonlocal last
        found = last
        if not found[0] <= now < found[1]:
            found = last = calendar.at(now)
        return found

    return at


def _counting(state: State | None, windows: _Windows | None, now: int, period: int) -> tuple[int, int, int, int, int]:
    """The longest period of the unit, the start of the window, the units used in it, its end, and the time."""
    if windows is None:
        _, _, start, used, end = state or (CALENDAR, period, now, 0, now)
        return period, start, used if now < end else 0, end, now
    start, end = windows(now)
    if state is None:
        return period, start, 0, end, now
    _, era, then, used, _ = state
    if start <= then <= now:  # It began in this window, and not with it if the unit or the zone has changed.
        return period, start, used, end, now
    if then > now and then - now <= period:  # The clock has gone back: the later window goes on.
        start, end = windows(then)
        return period, start, used, end, now
    if then > now or (era != period and now - then < era):
        return period, start, used, end, now
    return period, start, 0, end, now


def _kernel(rate: Rate, limit: int, windows: _Windows | None) -> Kernel:
    period = rate.period

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        era, start, used, end, now = _counting(state, windows, now, period)
        total, left = used + cost, end - now
        if total <= limit:
            life = left if total else 0
            return Decision(True, limit, limit - total, 0, life, rate), (CALENDAR, era, start, total, end), life
        wait = left if cost <= limit else NEVER
        decision = Decision(False, limit, max(0, limit - used), wait, left if used else 0, rate)
        if state is None or windows is None or state[2] - now <= period:
            return decision, None, 0
        return decision, (CALENDAR, era, start, used, end), left  # the clock has gone far back

    return kernel
