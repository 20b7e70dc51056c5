"""Several rates as one decision, and rates that take turns: those of a client may be others at each hit.

A state is ``(rates, former, part, part, ...)``: the rates that counted last, as text, and the part of each of them, in
order. A rate finds its part by its period, so it goes on with its own count in any place and among any others.

The parts of rates that counted before, and do not now, are `former`: each ``(rate, until, part)``. Every admitted hit
is charged to them too, up to their limits. They refuse nothing, and are kept for as long as their own hits would have
counted. So if a rate function returns now one rate and now another, each of them counts all hits.

A rate without a part of its period is new. It begins with a copy of a part of the same kind (a length of time, or a
calendar period), if there is one: so what was used before a change of the rates stays used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, Final, TypeAlias, TypeVar

from traffik.model.calendars import CalendarPeriod
from traffik.model.decisions import ADMITTED, UNBOUNDED, Decision
from traffik.model.errors import RateError
from traffik.model.rates import Rate
from traffik.strategies.base import EXACT, Kernel, State, lasts

__all__ = ["Former", "Turns", "as_one_kernel", "matches", "period_of"]

Former: TypeAlias = tuple[tuple[str, int, State | None], ...]
"""The rate, the time until which it is kept, and the part of each rate that counted before."""

_Period: TypeAlias = int | CalendarPeriod
_Places: TypeAlias = tuple[list[int | None], list[tuple[int, str]]]
"""For each rate the place of the part that it goes on from, and the places and texts of rates that are left over."""

_T = TypeVar("_T")
_Answer: TypeAlias = tuple[Decision, State | None, int]

_MOST: Final = 16
"""The most former rates; those that counted last are kept."""

_KNOWN: Final = 1_000
"""The most rates, and the most places, that are kept for the next time."""


def period_of(rate: Rate) -> _Period:
    """The period by which a rate finds its part."""
    return rate.calendar or rate.period


def matches(wanted: Sequence[_Period], stored: Sequence[_Period | None]) -> tuple[list[int | None], set[int]]:
    """For each period that is wanted, the place of the stored one to go on from, and the places with the same period.

    Without the same period, it is the first of the same kind, if possible one from which no other goes on. A stored
    period that is not known here is None.
    """
    free = dict(enumerate(stored))
    found: list[int | None] = []
    for period in wanted:
        place = next((place for place, each in free.items() if each == period), None)
        found.append(place)
        if place is not None:
            del free[place]
    own = {place for place in found if place is not None}
    for at, period in enumerate(wanted):
        if found[at] is None:
            places = (place for place in (*free, *range(len(stored))) if type(stored[place]) is type(period))
            found[at] = next(places, None)
            free.pop(found[at], None)  # type: ignore[arg-type]  # None is no place
    return found, own


class Turns:
    """Reads and makes the states of several rates.

    Args:
        rates: the rates that count now.
        kernel_of: makes the kernel of a former rate, or raises `RateError`.

    Attributes:
        text: the rates, as text.
        fresh: the parts of a key without a state.
    """

    __slots__ = ("_kernel_of", "_known", "_periods", "_places", "fresh", "text")

    def __init__(self, rates: Sequence[Rate], kernel_of: Callable[[Rate], Kernel]) -> None:
        self.text: str = "; ".join(map(str, rates))
        self.fresh: State = (None,) * len(rates)
        self._periods = [period_of(rate) for rate in rates]
        self._kernel_of = kernel_of
        self._known: dict[str, tuple[_Period | None, Kernel | None]] = {}
        self._places: dict[object, _Places] = {}

    def read(self, state: State | None) -> tuple[State, Former]:
        """The part of each rate, None where there is none, and the former rates."""
        if state is None:
            return self.fresh, ()
        if state[0] == self.text:
            return state[2:], state[1]
        last, former, *counted = state
        kept: Former = former
        names = (last, *(text for text, _, _ in kept)) if kept else last
        places, left = self._places.get(names) or self._place(names, last, kept)
        stored = [*counted, *(part for _, _, part in kept)]
        parts = tuple([None if place is None else stored[place] for place in places])
        count = len(counted)
        return parts, tuple([kept[at - count] if at >= count else (text, EXACT, stored[at]) for at, text in left])

    def _place(self, names: object, last: str, former: Former) -> _Places:
        """The places for a state with these rates."""
        texts = [*last.split("; "), *(text for text, _, _ in former)]
        found, own = matches(self._periods, [self._known_as(text)[0] for text in texts])
        places = found, [(place, text) for place, text in enumerate(texts) if place not in own]
        return _remember(self._places, names, places)

    def adopt(self, part: State, period: type[_Period]) -> State:
        """The state that goes on with the only part of another plan, for the rates of its kind."""
        return (self.text, (), *(part if type(each) is period else None for each in self._periods))

    def charged(self, former: Former, cost: int, now: int) -> tuple[Former, int]:
        """The former rates after a charge of `cost`, and the µs for which they are kept."""
        kept: list[tuple[str, int, State | None]] = []
        for text, until, part in former:
            kernel = self._known_as(text)[1]
            if kernel is None:
                continue
            until = min(until, now + lasts(kernel, part, now))  # noqa: PLW2901 - the clock may have gone back
            if until > now:
                units = min(cost, kernel(part, 0, now)[0].remaining)
                kept.append((text, until, (kernel(part, units, now)[1] or part) if units > 0 else part))
        del kept[_MOST:]
        return tuple(kept), max((until - now for _, until, _ in kept), default=0)

    def _known_as(self, text: str) -> tuple[_Period | None, Kernel | None]:
        """The period of a rate, and its kernel; None twice if it cannot be counted here, such as without its zone."""
        known = self._known.get(text)
        if known is None:
            try:
                rate = Rate.parse(text)
                known = period_of(rate), self._kernel_of(rate)
            except RateError:
                known = None, None
            _remember(self._known, text, known)
        return known


def _remember(known: dict[Any, _T], key: object, value: _T) -> _T:
    if len(known) >= _KNOWN:
        known.clear()
    known[key] = value
    return value


def as_one_kernel(kernels: Sequence[Kernel], turns: Turns) -> Kernel:
    """One kernel for several rates, all or nothing."""
    text, fresh = turns.text, turns.fresh

    def kernel(state: State | None, cost: int, now: int) -> _Answer:
        former: Former = ()
        if state is None:
            parts = fresh
        elif state[0] == text:
            parts, former = state[2:], state[1]
        else:
            parts, former = turns.read(state)
        states: list[object] = [text, ()]
        binding, least, longest = ADMITTED, UNBOUNDED, 0
        for each, old in zip(kernels, parts, strict=False):
            decision, changed, ttl = each(old, cost, now)
            if not decision.allowed:
                answers = [each(part, cost, now) for each, part in zip(kernels, parts, strict=False)]
                return _refused(answers, parts, cost, turns, former, now)
            states.append(changed)
            remaining = decision.remaining
            if remaining < least:
                binding, least = decision, remaining
            if ttl > longest:
                longest = ttl
        if former:
            states[1], kept = turns.charged(former, cost, now)
            longest = max(longest, kept)
        return binding, tuple(states), longest

    return kernel


def _refused(answers: Sequence[_Answer], parts: State, cost: int, turns: Turns, former: Former, now: int) -> _Answer:
    """The refusal with the longest wait, and the state after it."""
    decisions = [decision for decision, _, _ in answers]
    binding = max((each for each in decisions if not each.allowed), key=lambda decision: decision.retry_after)
    # the rates that would have admitted the cost have not been charged
    remaining = min(decision.remaining + (cost if decision.allowed else 0) for decision in decisions)
    changed, ttl = _moved_back(answers, parts)
    if changed is not None:
        kept, longest = turns.charged(former, 0, now)
        changed, ttl = (turns.text, kept, *changed), max(ttl, longest)
    return binding._replace(remaining=remaining), changed, ttl


def _moved_back(answers: Sequence[_Answer], parts: State) -> tuple[State | None, int]:
    """The parts after a refusal, and their ttl; (None, 0), unless the clock has gone far back.

    Parts that refuse continue from there then. The others stay as they were.
    """
    changes = [None if decision.allowed else changed for decision, changed, _ in answers]
    if not any(changes):
        return None, 0
    lives = (ttl or decision.reset_after for decision, _, ttl in answers)
    return tuple(old if new is None else new for new, old in zip_longest(changes, parts)), max(lives)
