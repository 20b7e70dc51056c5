"""The meter: a level that rises with every hit and drains at the rate. Three names, one kernel.

A token bucket counts what is left of a burst, a leaky bucket what is in it, GCRA the time at which it would be empty.
They admit the same hits (ITU-T I.371, which proves the two forms of GCRA equal; redis-cell and governor count this
way), so they share one kernel here.

State ``(unit, time, level)``. The rate is reduced to p/q: the level drains p a tick, one unit of cost raises it by q,
the capacity is burst·q. With d = p · (now - time), the level falls to ``max(0, level - d)``; a charge of N is admitted
iff level + N·q stays within the capacity. The wait is exact: the first tick at which it would.

A token bucket may go into `debt`: while anything of the burst is left, one hit may overdraw it by so much at most, and
nothing is admitted until that is paid back. For work whose cost is known only afterwards.

Promises burst + debt + ⌈rate · t⌉ - 1 in any stretch t, and limit/period in the long run. The tick is the finest power
of ten of µs that keeps every number below 2**53. If the clock goes back by at most the time of a full drain it stands
still until it has caught up; by more, the level is kept and drains from the new time.

Settling: the receipt of a hit is its time, the unit, and p + capacity, which says whether the rate has changed. Giving
back N units lowers the level, as it stood at `time`, by ``N·q - p·(time - time of the hit)``. That is exact if nothing
has been charged since, and otherwise never too much; if the rate has changed in between, it is nothing. Without a
receipt the level is lowered by N·q: exactly as if the last units had not been taken. What is charged in any case takes
the level to the debt above the burst or, if there is no debt, to one limit above it, as far as numbers are exact. A
state above the capacity has its unit negative. Without that mark, such a level is from before the capacity was lowered,
and is cut to the new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd
from typing import TypeAlias

from traffik.model.decisions import NEVER, Decision
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
    finest_tick,
    inexact,
    settled,
)

__all__ = ["GCRA", "LeakyBucket", "TokenBucket"]

_Numbers: TypeAlias = tuple[int, int, int, int, int, int]

_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class _Meter:
    """What the three have in common.

    Args:
        burst: the capacity in units of cost, at least 1; the rate's limit if None. 1 spaces hits evenly.
    """

    burst: int | None = None

    def __post_init__(self) -> None:
        _check("burst", self.burst, 1)

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return self._burst(rate) + self._debt(rate)

    def twin(self, rate: Rate) -> Twin:
        return Twin("meter", self._numbers(rate))

    def prepare(self, rate: Rate) -> Kernel:
        return _kernel(rate, self._numbers(rate))

    def receipt(self, before: State | None, after: State, rate: Rate) -> Receipt:
        return self.settler(rate).receipt(before, after)

    def settle(self, state: State | None, rate: Rate, delta: int, receipt: Receipt | None, now: int) -> Settled:
        return settled(self.prepare(rate), state, self.settler(rate).settle(state, delta, receipt, now), now)

    def settler(self, rate: Rate) -> Settler:
        return _settler(rate, self._numbers(rate))

    def _burst(self, rate: Rate) -> int:
        if rate.limit == 0:
            return 0
        return rate.limit if self.burst is None else self.burst

    def _debt(self, rate: Rate) -> int:
        return 0

    def _numbers(self, rate: Rate) -> _Numbers:
        """The rate and the capacity as p, q, the largest cost, the brim, the tick, and the most units in any case."""
        limit, period = max(rate.limit, 1), rate.period
        most, debt = self.capacity(rate), self._debt(rate)
        certain = most if debt else 2 * most  # units that have to fit; an overdraft may be larger, as far as it fits

        def fits(tick: int) -> bool:
            p, q = _reduced(limit, period // tick)
            # After a clock has gone back, a reset may be two full drains away.
            return 2 * (certain + 1) * q + p < EXACT and 2 * -(-most * q // p) * tick < EXACT

        tick = finest_tick(period, fits)
        if tick is None:
            raise inexact(self, rate)
        p, q = _reduced(limit, period // tick)
        # Without debt any room will do (need is counted from the top); with it, some of the burst itself must be left.
        brim = self._burst(rate) * q - 1 if debt else most * q
        return p, q, most, brim, tick, most if debt else min(most + rate.limit, _exact_units(p, q, most, tick))


def _exact_units(p: int, q: int, most: int, tick: int) -> int:
    """The most units of which every level and every wait is exact, also after a clock has gone back."""
    return min((EXACT - 1 - p) // (2 * q) - 1, ((EXACT - 1) // tick - -(-most * q // p)) * p // q)


@dataclass(frozen=True, slots=True)
class GCRA(_Meter):
    """Generic cell rate algorithm: hits spaced at the rate, `burst` of them at once."""


@dataclass(frozen=True, slots=True)
class LeakyBucket(_Meter):
    """Leaky bucket as a meter: each hit adds its cost, the bucket leaks at the rate and holds `burst`."""


@dataclass(frozen=True, slots=True)
class TokenBucket(_Meter):
    """Token bucket: `burst` tokens, refilled at the rate; `debt` is how far one hit may overdraw it.

    Args:
        burst: the capacity in units of cost, at least 1; the rate's limit if None.
        debt: units of cost by which the last hit may exceed what is left, at least 0.
    """

    debt: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        _check("burst", self.burst, 1)
        _check("debt", self.debt, 0)

    def _debt(self, rate: Rate) -> int:
        return self.debt if rate.limit else 0


def _check(name: str, value: object, least: int) -> None:
    if value is None:
        return
    if type(value) is not int:
        raise TypeError(f"{name} is an integer, not {value!r} ({type(value).__name__})")
    if not least <= value < EXACT:
        raise ValueError(f"{name} is from {least} to {EXACT - 1}, not {value!r}")


def _reduced(limit: int, period: int) -> tuple[int, int]:
    common = gcd(limit, period)
    return limit // common, period // common


def _settler(rate: Rate, numbers: _Numbers) -> Settler:
    p, q, most, *_ = numbers
    overdraft = _kernel(rate, numbers, overdraft=True)

    def receipt_of(_: State | None, after: State) -> Receipt:
        return after[1], q, p + most * q

    def give_back(state: State, units: int, receipt: Receipt | None, now: int) -> Settlement:
        lowered = _lowered(state, units, receipt, numbers)
        if lowered is None:
            return UNCHANGED
        before = overdraft(state, 0, now)[1] or state
        _, after, ttl = overdraft(lowered, 0, now)
        after = after or lowered
        given = min(units, -(-(before[2] - after[2]) // q))
        if given == 0:
            return UNCHANGED
        if after[1] < lowered[1]:  # The clock has gone far back, and the level drains from now on.
            lowered = _marked(after, most)
        return lowered, ttl, -given

    def settle(state: State | None, delta: int, receipt: Receipt | None, now: int) -> Settlement:
        if delta > 0:
            changed, ttl, applied = charge_anyway(overdraft, state, delta, now)
            return changed and _marked(changed, most), ttl, applied
        return UNCHANGED if state is None else give_back(state, -delta, receipt, now)

    return Settler(receipt_of, settle)


def _lowered(state: State, units: int, receipt: Receipt | None, numbers: _Numbers) -> State | None:
    """A state from which units are taken at its own time, of those that its hit has left by then; None if none are."""
    p, q, most, _, tick, utmost = numbers
    unit, then, level = state
    size = abs(unit)
    drop = units * size
    if receipt is not None and receipt[0] != then:
        time, *written = receipt
        if then < time or size != q or written != [q, p + most * q]:
            return None
        drop = min(units, utmost) * q - (then - time) // tick * p
    if drop <= 0:
        return None
    if drop >= level:
        return q, 0, 0
    changed = (size, then, level - drop)
    return _marked(changed, most) if unit < 0 else changed


def _marked(state: State, most: int) -> State:
    """A state with the mark for a level above the capacity, if it is."""
    unit, then, level = state
    return (-unit, then, level) if level > most * unit else state


def _kernel(rate: Rate, numbers: _Numbers, *, overdraft: bool = False) -> Kernel:
    """Decides up to the capacity, or up to the most that may be used in any case."""
    p, q, most, brim, tick, utmost = numbers
    cap = most * q
    if overdraft:
        most, brim = utmost, utmost * q
    top = most * q
    short = p - 1  # (x + short) // p is x / p, rounded up
    full = (cap + short) // p

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        skew = level = anew = 0
        if state is not None:
            unit, then, level = state
            if unit != q or level > cap:  # The rate has changed, or it is overdrawn.
                level = min(-(-level * q // abs(unit)), cap if unit > 0 else utmost * q)
            elapsed = now - then
            if elapsed >= 0:
                level -= elapsed * p
                if level < 0:
                    level = 0
            elif elapsed >= -full:
                skew, now = -elapsed, then
            else:
                anew = 1
        raised = level + cost * q
        if raised > brim and (raised > top or level > brim):
            need = max(raised - top, level - brim)
            wait = (need + short) // p + skew if cost <= most else NEVER
            left = (top - level) // q if level <= brim else 0
            reset = (level + short) // p + skew if level else 0
            decision = _new(Decision, (False, most, left, wait, reset, rate, None))
            return decision, (q if level <= cap else -q, now, level) if anew else None, reset if anew else 0
        life = (raised + short) // p
        if skew and life:
            life += skew
        left = (top - raised) // q if raised <= brim else 0
        return _new(Decision, (True, most, left, 0, life, rate, None)), (q, now, raised), life

    return kernel if tick == 1 else _in_ticks(kernel, tick)


def _in_ticks(kernel: Kernel, tick: int) -> Kernel:
    """A kernel on a clock of `tick` µs as one on a clock of µs."""

    def coarse(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        if state is not None:
            unit, then, level = state
            state = (unit, -(-then // tick), level)
        decision, changed, life = kernel(state, cost, now // tick)
        late = now % tick
        decision = decision._replace(
            retry_after=_in_micros(decision.retry_after, tick, late),
            reset_after=_in_micros(decision.reset_after, tick, late),
        )
        if changed is None:
            return decision, None, 0
        unit, then, level = changed
        return decision, (unit, then * tick, level), _in_micros(life, tick, late)

    return coarse


def _in_micros(ticks: int, tick: int, late: int) -> int:
    return ticks * tick - late if 0 < ticks < NEVER else ticks
