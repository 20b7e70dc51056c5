"""Settling of sliding windows: remove units from the moments in a state.

The states are those of `traffik.strategies.sliding_window`. In this module, the moments of a state are a list of rows,
oldest first. Each row is a flat tuple ``t1, c1, t2, c2, ...``: moments, each with the running count after it. A long
log has a row for each of its blocks, so only rows with changed counts are rewritten.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, TypeAlias

from traffik.strategies.base import UNCHANGED, Kernel, Receipt, Settlement, Settler, State, charge_anyway

__all__ = ["settler_of_moments"]

_Row: TypeAlias = tuple[Any, ...]


def settler_of_moments(overdraft: Kernel, period: int, cell: int) -> Settler:
    """The settler of a sliding window.

    Args:
        overdraft: the kernel of the window whose limit is the most units that may be used in any case.
        period: µs of the window.
        cell: µs of a cell.
    """

    def receipt_of(_: State | None, after: State) -> Receipt:
        return after[2], cell

    def settle(state: State | None, delta: int, receipt: Receipt | None, now: int) -> Settlement:
        if delta > 0:
            return charge_anyway(overdraft, state, delta, now)
        if state is None or delta == 0:
            return UNCHANGED
        era, before, rows = _rows_at(state, min(state[0], period), now)
        if receipt is None:
            return _without_latest(era, before, rows, -delta, now)
        return _without_hit(era, before, rows, -delta, receipt, cell, now)

    return Settler(receipt_of, settle)


def _rows_at(state: State, span: int, now: int) -> tuple[int, int, list[_Row]]:
    """The period of a state, the count before its moments, and the moments that count at `now`, each for `span` µs."""
    era, before, last, count, older = state
    if last - now > span:  # the clock has gone far back
        return era, 0, [(now, count - before)]
    rows: list[_Row] = [(last, count)]
    if older is not None and type(older[1]) is tuple:
        _, tail, skip, blocks = older
        rows = [blocks[0][skip:], *blocks[1:], tail, *rows]
    elif older is not None:
        rows = [older, *rows]
    horizon = max(now, last) - span
    gone = bisect_left(rows, True, key=lambda row: row[-2] > horizon)
    if gone:
        before, rows = rows[gone - 1][-1], rows[gone:]
    place = _first(rows[0], lambda time: time > horizon) if rows else 0
    if place:
        before, rows[0] = rows[0][place - 1], rows[0][place:]
    return era, before, rows


def _without_latest(era: int, before: int, rows: list[_Row], units: int, now: int) -> Settlement:
    """Remove units from the latest moments."""
    if not rows:
        return UNCHANGED
    count = rows[-1][-1]
    left = max(count - units, before)
    if left == count:
        return UNCHANGED
    kept = bisect_left(rows, left, key=lambda row: row[-1])
    row = rows[kept]
    place = 2 * bisect_left(row[1::2], left)
    last = (*row[:place], row[place], left) if left > before else ()
    return _state_of(era, before, [*rows[:kept], last], now, left - count)


def _without_hit(
    era: int, before: int, rows: list[_Row], units: int, receipt: Receipt, cell: int, now: int
) -> Settlement:
    """Remove units from the moment of the hit with this receipt."""
    time, cell_then = receipt
    at = bisect_left(rows, time, key=lambda row: row[-2])
    if at == len(rows):
        return UNCHANGED
    row = rows[at]
    place = 2 * bisect_left(row[::2], time)
    found = row[place]
    if found // cell != time // cell or found // cell_then != time // cell_then:
        return UNCHANGED
    earlier = row[place - 1] if place else rows[at - 1][-1] if at else before
    given = min(units, row[place + 1] - earlier)
    if given == 0:
        return UNCHANGED
    rest = _reduced(row[place:], given)
    rest = rest[2:] if rest[1] == earlier else rest
    later = [_reduced(each, given) for each in rows[at + 1 :]]
    return _state_of(era, before, [*rows[:at], row[:place] + rest, *later], now, -given)


def _first(row: _Row, holds: Any) -> int:
    return 2 * bisect_left(row[::2], True, key=holds)


def _reduced(row: _Row, units: int) -> _Row:
    """The row with all running counts reduced by `units`."""
    numbers = list(row)
    numbers[1::2] = [count - units for count in row[1::2]]
    return tuple(numbers)


def _state_of(era: int, before: int, rows: list[_Row], now: int, applied: int) -> Settlement:
    """The settlement whose new state has these moments."""
    rows = [row for row in rows if row]
    if not rows:
        return (era, 0, 0, 0, None), 0, applied
    *most, (*shorter, last, count) = rows
    rows = [*most, tuple(shorter)] if shorter else most
    older = (rows[0][0], rows[-1], 0, tuple(rows[:-1])) if len(rows) > 1 else rows[0] if rows else None
    return (era, before, last, count, older), last + era - now, applied
