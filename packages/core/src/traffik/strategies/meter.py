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
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd
from typing import TypeAlias

from traffik.model.decisions import NEVER, Decision
from traffik.model.rates import Rate
from traffik.strategies.base import EXACT, Kernel, State, Transition, Twin, finest_tick, inexact

__all__ = ["GCRA", "LeakyBucket", "TokenBucket"]

_Numbers: TypeAlias = tuple[int, int, int, int, int]

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
        return _kernel(rate, *self._numbers(rate))

    def _burst(self, rate: Rate) -> int:
        if rate.limit == 0:
            return 0
        return rate.limit if self.burst is None else self.burst

    def _debt(self, rate: Rate) -> int:
        return 0

    def _numbers(self, rate: Rate) -> _Numbers:
        """The rate and the capacity as p, q, the largest cost, the brim and the tick."""
        limit, period = max(rate.limit, 1), rate.period
        most = self.capacity(rate)

        def fits(tick: int) -> bool:
            p, q = _reduced(limit, period // tick)
            full = -(-most * q // p)
            # After a clock has gone back, a reset may be two full drains away.
            return 2 * (most + 1) * q + p < EXACT and 2 * full * tick < EXACT

        tick = finest_tick(period, fits)
        if tick is None:
            raise inexact(self, rate)
        p, q = _reduced(limit, period // tick)
        # Without debt any room will do (need is counted from the top); with it, some of the burst itself must be left.
        brim = self._burst(rate) * q - 1 if self._debt(rate) else most * q
        return p, q, most, brim, tick


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


def _kernel(rate: Rate, p: int, q: int, most: int, brim: int, tick: int) -> Kernel:
    top = most * q
    short = p - 1  # (x + short) // p is x / p, rounded up
    full = (top + short) // p

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        skew = level = anew = 0
        if state is not None:
            unit, then, level = state
            if unit != q or level > top:  # The rate has changed.
                level = min(-(-level * q // unit), top)
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
            return decision, (q, now, level) if anew else None, reset if anew else 0
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
