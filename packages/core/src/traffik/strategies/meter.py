"""The meter: a level that rises with each hit and drains at the rate. Token bucket, leaky bucket and GCRA use it.

A token bucket counts the remaining units of a burst, a leaky bucket the used ones, and GCRA the time at which the
bucket would be empty. They admit the same hits (ITU-T I.371 proves the two forms of GCRA equal; redis-cell and governor
count this way), so they share one kernel.

The state is ``(unit, time, level)``. The rate is reduced to p/q: the level drains by p in each tick, one unit of cost
raises it by q, and the capacity is burst·q. With d = p · (now - time), the level falls to ``max(0, level - d)``. A
charge of N units is admitted if level + N·q is within the capacity. The wait is exact: it ends at the first tick at
which the condition holds.

A token bucket may have a `debt`, for work whose cost is known only afterwards. While units of the burst remain, one hit
may overdraw it by at most the debt. Until that is paid back, nothing is admitted.

At most burst + debt + ⌈rate · t⌉ - 1 units are admitted in any time span t, and limit/period in the long run. The tick
is the smallest power of ten in µs for which all numbers are below 2**53. If the clock goes back by at most the time of
a full drain, the time stays the same until the clock has caught up. If it goes back by more, the level drains from the
new time.

Settling: the receipt of a hit is its time, the unit, and p + capacity, which shows whether the rate has changed. Giving
back N units lowers the level at `time` by ``N·q - p·(time - time of the hit)``. This is exact if nothing has been
charged since, and never too much. If the rate has changed since, nothing is given back. Without a receipt, the level is
lowered by N·q, exactly as if the last units had not been taken. Units charged in any case raise the level to the debt
above the burst or, without a debt, to one limit above it, as far as numbers are exact. In a state above the capacity,
the unit is negative. In any other state, a level above the capacity comes from a larger capacity in the past, and is
cut to the new capacity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd
from typing import ClassVar, TypeAlias

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
    """The base class of the three strategies.

    Args:
        burst: the capacity in units of cost, at least 1; the limit of the rate if None. With 1, hits are spaced evenly.
            The burst of a rate goes before it.
    """

    bursts: ClassVar[bool] = True
    """Whether it counts rates that name their burst, such as ``"20k/min burst 60k"``."""

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
        if rate.burst is not None:
            return rate.burst
        return rate.limit if self.burst is None else self.burst

    def _debt(self, rate: Rate) -> int:
        return 0

    def _numbers(self, rate: Rate) -> _Numbers:
        """The numbers for a rate: p, q, the largest cost, the brim, the tick, and the most units used in any case.

        The brim is the level above which nothing is admitted.
        """
        limit, period = max(rate.limit, 1), rate.period
        most, debt = self.capacity(rate), self._debt(rate)
        certain = most if debt else 2 * most  # units for which numbers must be exact; more are allowed if they are

        def fits(tick: int) -> bool:
            p, q = _reduced(limit, period // tick)
            # after the clock has gone back, a reset may be two full drains away
            return 2 * (certain + 1) * q + p < EXACT and 2 * -(-most * q // p) * tick < EXACT

        tick = finest_tick(period, fits)
        if tick is None:
            raise inexact(self, rate)
        p, q = _reduced(limit, period // tick)
        # with a debt, a hit is admitted only while units of the burst remain
        brim = self._burst(rate) * q - 1 if debt else most * q
        return p, q, most, brim, tick, most if debt else min(most + rate.limit, _exact_units(p, q, most, tick))


def _exact_units(p: int, q: int, most: int, tick: int) -> int:
    """The most units for which all levels and waits are exact, also after the clock has gone back."""
    return min((EXACT - 1 - p) // (2 * q) - 1, ((EXACT - 1) // tick - -(-most * q // p)) * p // q)


@dataclass(frozen=True, slots=True)
class GCRA(_Meter):
    """Generic cell rate algorithm: hits are spaced at the rate, with up to `burst` at once."""


@dataclass(frozen=True, slots=True)
class LeakyBucket(_Meter):
    """Leaky bucket as a meter: each hit adds its cost, the bucket leaks at the rate and holds `burst`."""


@dataclass(frozen=True, slots=True)
class TokenBucket(_Meter):
    """Token bucket: it holds up to `burst` tokens, is refilled at the rate, and one hit may overdraw it by the `debt`.

    Args:
        burst: the capacity in units of cost, at least 1; the limit of the rate if None.
        debt: the units by which a hit may exceed the remaining units, 0 or more.
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
        if after[1] < lowered[1]:  # the clock has gone far back, so the level drains from now on
            lowered = _marked(after, most)
        return lowered, ttl, -given

    def settle(state: State | None, delta: int, receipt: Receipt | None, now: int) -> Settlement:
        if delta > 0:
            changed, ttl, applied = charge_anyway(overdraft, state, delta, now)
            return changed and _marked(changed, most), ttl, applied
        return UNCHANGED if state is None else give_back(state, -delta, receipt, now)

    return Settler(receipt_of, settle)


def _lowered(state: State, units: int, receipt: Receipt | None, numbers: _Numbers) -> State | None:
    """The state with units given back at its own time, but not those that have drained; None if there are none."""
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
    """A state, marked by a negative unit if the level is above the capacity."""
    unit, then, level = state
    return (-unit, then, level) if level > most * unit else state


def _kernel(rate: Rate, numbers: _Numbers, *, overdraft: bool = False) -> Kernel:
    """The kernel that admits up to the capacity or, with `overdraft`, up to the most that may be used in any case."""
    p, q, most, brim, tick, utmost = numbers
    cap = most * q
    if overdraft:
        most, brim = utmost, utmost * q
    top = most * q
    short = p - 1  # (x + short) // p is x / p, rounded up
    full = (cap + short) // p

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        skew = level = restarted = 0
        if state is not None:
            unit, then, level = state
            if unit != q or level > cap:  # the rate has changed, or the bucket is overdrawn
                level = min(-(-level * q // abs(unit)), cap if unit > 0 else utmost * q)
            elapsed = now - then
            if elapsed >= 0:
                level -= elapsed * p
                if level < 0:
                    level = 0
            elif elapsed >= -full:
                skew, now = -elapsed, then
            else:
                restarted = 1
        raised = level + cost * q
        if raised > brim and (raised > top or level > brim):
            need = max(raised - top, level - brim)
            wait = (need + short) // p + skew if cost <= most else NEVER
            left = (top - level) // q if level <= brim else 0
            reset = (level + short) // p + skew if level else 0
            decision = _new(Decision, (False, most, left, wait, reset, rate, None))
            return decision, (q if level <= cap else -q, now, level) if restarted else None, reset if restarted else 0
        life = (raised + short) // p
        if skew and life:
            life += skew
        left = (top - raised) // q if raised <= brim else 0
        return _new(Decision, (True, most, left, 0, life, rate, None)), (q, now, raised), life

    return kernel if tick == 1 else _in_ticks(kernel, tick)


def _in_ticks(kernel: Kernel, tick: int) -> Kernel:
    """A kernel with a clock in ticks, wrapped as a kernel with a clock in µs."""

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
