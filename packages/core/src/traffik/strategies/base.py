"""The interface of all strategies: a pure function from an old state to a decision and a new state.

A strategy is an immutable object with its settings and one pure method, `Strategy.decide`. It reads no clock: the store
passes the time and the state. It uses only integers: µs for times, units for costs and quota.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

from traffik.model.decisions import Decision
from traffik.model.descriptions import describe
from traffik.model.errors import RateError
from traffik.model.rates import Rate

__all__ = [
    "EXACT",
    "UNCHANGED",
    "Kernel",
    "Prepared",
    "PreparedSettling",
    "Receipt",
    "Settled",
    "Settlement",
    "Settler",
    "Settling",
    "State",
    "Strategy",
    "Transition",
    "Twin",
    "Twinned",
    "charge_anyway",
    "finest_tick",
    "inexact",
    "lasts",
    "probe",
    "settled",
]

EXACT: Final = 2**53
"""All numbers of a decision are below this, where Lua, whose numbers are doubles, computes the same as Python."""

State: TypeAlias = tuple[Any, ...]
"""The state of one key in a store: a short tuple of integers, which includes the rate that it was counted by."""


class Transition(NamedTuple):
    """The result of a strategy: the decision, and the new state for the store.

    Attributes:
        decision: the decision on the hit.
        state: the new state; None to keep the stored one. A refused hit changes nothing, so its state is None. The
            built-in strategies make one exception: if the clock has gone far back, a refused hit returns the same usage
            as a state that continues from the new time.
        ttl: µs until the new state expires: from then on it means the same as no state.
    """

    decision: Decision
    state: State | None
    ttl: int


# A kernel returns a plain tuple of the fields of Transition, which is faster. It runs for each hit.
Kernel: TypeAlias = Callable[[State | None, int, int], tuple[Decision, State | None, int]]
"""A strategy prepared for one rate: ``kernel(state, cost, now)``, a pure function of integers."""


class Strategy(Protocol):
    """An algorithm for counting a rate. To write your own, write a class with this method.

    If it cannot decide without consuming, for example because decisions are random, set the class attribute
    ``stats = False``. Then `check` is always true, and `stat` is None.
    """

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        """Decide on one hit. Pure: the same arguments always give the same result.

        Args:
            state: the state after the last admitted hit of this key; None if there is none or it has expired.
            rate: the limit, which may differ from that of the last hit.
            cost: units of quota that the hit consumes, 0 or more.
            now: µs on the store's clock, which may have gone back since the last hit.
        """
        ...


@runtime_checkable
class Prepared(Protocol):
    """A strategy that prepares its arithmetic for a rate once, before the hits. All built-in strategies do."""

    def prepare(self, rate: Rate) -> Kernel:
        """The kernel for `rate`. It may be called with an expired state, and treats that as no state.

        Raises:
            RateError: this strategy cannot count `rate` exactly.
        """
        ...

    def capacity(self, rate: Rate) -> int:
        """The largest cost that can ever be admitted. A larger one is refused without asking a store."""
        ...


Receipt: TypeAlias = tuple[int, ...]
"""The data on an admitted hit that settling needs: at most three integers, each below `EXACT` in size."""


class Settled(NamedTuple):
    """The result of settling.

    Attributes:
        decision: a decision with the quota of the key after settling. `allowed` is True. `retry_after` is the wait
            until one more unit is available, 0 if one is now.
        state: the new state; None to keep the stored one.
        ttl: µs until the new state expires.
        applied: the units given back (negative) or charged (positive), which may be fewer than requested.
    """

    decision: Decision
    state: State | None
    ttl: int
    applied: int


@runtime_checkable
class Settling(Protocol):
    """A strategy that can settle: give units back, or charge units in any case. All built-in strategies can."""

    def receipt(self, before: State | None, after: State, rate: Rate) -> Receipt:
        """The receipt for `settle` of the admitted hit that changed the state from `before` to `after`."""
        ...

    def settle(self, state: State | None, rate: Rate, delta: int, receipt: Receipt | None, now: int) -> Settled:
        """Give units back (`delta` below 0), or charge units in any case (above 0). Pure.

        After giving back, the key must not have more quota than if the units had not been taken, nor more than a new
        key. The caller gives back at most the units that were taken. A charge may exceed the capacity. The built-in
        strategies allow an excess of one limit, or of the debt.

        Args:
            state: the stored state, or None.
            rate: the limit, which may differ from that of the hit.
            delta: the units to charge, or minus the units to give back.
            receipt: the receipt of the hit whose units are given back; None to give back the units taken last.
            now: µs on the store's clock.
        """
        ...


Settlement: TypeAlias = tuple[State | None, int, int]
"""The effect of settling on a state: the new state or None to keep the stored one, its ttl, and the units applied."""

UNCHANGED: Final[Settlement] = (None, 0, 0)
"""A settlement without effect."""


class Settler(NamedTuple):
    """The settling of a strategy, prepared for one rate. Both functions are pure.

    Attributes:
        receipt: ``receipt(before, after)`` returns the receipt of an admitted hit.
        settle: ``settle(state, delta, receipt, now)`` returns the effect on a state.
    """

    receipt: Callable[[State | None, State], Receipt]
    settle: Callable[[State | None, int, Receipt | None, int], Settlement]


@runtime_checkable
class PreparedSettling(Protocol):
    """A strategy that prepares its settling for a rate, before the hits. All built-in strategies do."""

    def settler(self, rate: Rate) -> Settler:
        """The settler for `rate`."""
        ...


def probe(kernel: Kernel, state: State | None, now: int) -> Decision:
    """A decision with the remaining quota and the wait for one more unit. Changes nothing."""
    decision = kernel(state, 0, now)[0]
    if decision.remaining > 0:
        return decision
    return decision._replace(retry_after=kernel(state, 1, now)[0].retry_after)


def lasts(kernel: Kernel, state: State | None, now: int) -> int:
    """µs for which a state means something if nothing more is charged, such as the memory of earlier bans."""
    decision, _, ttl = kernel(state, 0, now)
    return 0 if state is None else max(decision.reset_after, ttl)


def settled(kernel: Kernel, state: State | None, settlement: Settlement, now: int) -> Settled:
    """The result of a settlement of `state`, with a decision on the quota after it."""
    changed, ttl, applied = settlement
    decision = probe(kernel, state if changed is None else changed, now)
    return Settled(decision._replace(allowed=True), changed, ttl, applied)


def charge_anyway(kernel: Kernel, state: State | None, units: int, now: int) -> Settlement:
    """Charge the `units`, or as many of them as `kernel` admits.

    The capacity of the kernel is the most that may be used in any case.
    """
    applied = min(units, kernel(state, 0, now)[0].remaining)
    if applied <= 0:
        return UNCHANGED
    _, changed, ttl = kernel(state, applied, now)
    return changed, ttl, applied


class Twin(NamedTuple):
    """The Lua kernel for one rate, which Redis runs.

    Attributes:
        name: the name of the Lua kernel.
        numbers: its arguments for the strategy and the rate, integers below `EXACT`.
    """

    name: str
    numbers: tuple[int, ...]


@runtime_checkable
class Twinned(Protocol):
    """A strategy that also exists in Lua, which Redis runs in one step. All built-in strategies do.

    Both return equal results for equal states. A subclass with another `decide` needs its own twin.
    """

    def twin(self, rate: Rate) -> Twin:
        """The Lua kernel for `rate`.

        Raises:
            RateError: this strategy cannot count `rate` exactly.
        """
        ...


def finest_tick(period: int, fits: Callable[[int], bool]) -> int | None:
    """The smallest power of ten in µs that divides `period` and for which `fits` is true; None if there is none."""
    tick = 1
    while period % tick == 0:
        if fits(tick):
            return tick
        tick *= 10
    return None


def inexact(strategy: object, rate: Rate) -> RateError:
    """The error for a rate whose numbers would not be below `EXACT`."""
    return RateError(
        f"{describe(strategy)} cannot count {str(rate)!r} exactly: limit times period is too large for 53 bits, even "
        f"with coarser ticks; use a lower limit, a shorter period, or a period of whole seconds"
    )
