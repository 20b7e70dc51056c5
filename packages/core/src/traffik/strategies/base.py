"""The one seam to an algorithm: old state in, decision and new state out.

A strategy is a frozen value of its settings with one pure method, `Strategy.decide`. It reads no clock: the store gives
the time together with the state. It works in integers only: µs for times, units of cost for quota.
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
    "probe",
    "settled",
]

EXACT: Final = 2**53
"""Every number of a decision stays below this, so that Python and Lua (whose numbers are doubles) agree bit for bit."""

State: TypeAlias = tuple[Any, ...]
"""What a store keeps for one key: a short tuple of integers, which also says what rate it was counted under."""


class Transition(NamedTuple):
    """What a strategy answers: the decision, and what the store is to remember.

    Attributes:
        decision: the answer to the hit.
        state: the new state, or None to leave the stored one as it is. A refused hit changes nothing; the built-in
            strategies then only answer a state, uncharged, when the clock has gone far back and they go on from there.
        ttl: µs after which the new state means the same as no state, and may be forgotten.
    """

    decision: Decision
    state: State | None
    ttl: int


# A kernel answers with a plain tuple of the fields of Transition: it runs once for every hit.
Kernel: TypeAlias = Callable[[State | None, int, int], tuple[Decision, State | None, int]]
"""A strategy prepared for one rate: ``kernel(state, cost, now)``, pure, the arithmetic and nothing else."""


class Strategy(Protocol):
    """An algorithm: how a rate is counted. Write your own by giving a class this method.

    A class attribute ``stats = False`` says that decisions cannot be tried out (they are random, say): `check` is then
    always true and `stat` None.
    """

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        """Decide one hit; pure, and the same for the same arguments.

        Args:
            state: what the last admitted hit of this key left, or None if there is none or its ttl has passed.
            rate: the limit; it may differ from the one the state was left under.
            cost: units of quota this hit takes, at least 0.
            now: µs on the store's clock, which may have gone back since.
        """
        ...


@runtime_checkable
class Prepared(Protocol):
    """A strategy that works out what depends on the rate alone once, ahead of the hits; all built-in ones do."""

    def prepare(self, rate: Rate) -> Kernel:
        """The kernel for `rate`. It may be handed a state whose ttl has passed, and takes that for no state.

        Raises:
            RateError: this strategy cannot count `rate` exactly.
        """
        ...

    def capacity(self, rate: Rate) -> int:
        """The largest cost that can ever be admitted; a larger one is refused for good without asking a store."""
        ...


Receipt: TypeAlias = tuple[int, ...]
"""What settling needs to know of an admitted hit: at most three integers, each below `EXACT` in size."""


class Settled(NamedTuple):
    """What settling answers.

    Attributes:
        decision: the quota of the key after settling. `allowed` is True; `retry_after` is the wait until one more unit
            fits, and 0 if one does now.
        state: the new state, or None to leave the stored one as it is.
        ttl: µs after which the new state means the same as no state.
        applied: units really given back (negative) or charged (positive); in size at most what was asked for.
    """

    decision: Decision
    state: State | None
    ttl: int
    applied: int


@runtime_checkable
class Settling(Protocol):
    """A strategy that can settle: give back units, or charge some in any case. All built-in ones can."""

    def receipt(self, before: State | None, after: State, rate: Rate) -> Receipt:
        """What `settle` is to know of the admitted hit that turned the state `before` into `after`."""
        ...

    def settle(self, state: State | None, rate: Rate, delta: int, receipt: Receipt | None, now: int) -> Settled:
        """Give units back (`delta` below 0), or charge some in any case (above 0); pure.

        Units are given back so that the key never has more quota than if they had not been taken, and never more than
        a fresh one. The caller gives back no more than were taken. What is charged may exceed the capacity; the
        built-in strategies cut it at one limit (or the debt) above.

        Args:
            state: the stored state, or None.
            rate: the limit; it may differ from the one of the hit.
            delta: units to charge, or minus the units to give back.
            receipt: of the hit whose units are given back; None to give back the units taken last.
            now: µs on the store's clock.
        """
        ...


Settlement: TypeAlias = tuple[State | None, int, int]
"""What settling does to a state: the new one or None to leave it as it is, its ttl, and the units applied."""

UNCHANGED: Final[Settlement] = (None, 0, 0)
"""The settlement that does nothing."""


class Settler(NamedTuple):
    """The settling of a strategy prepared for one rate; both functions are pure.

    Attributes:
        receipt: ``receipt(before, after)``, the receipt of an admitted hit.
        settle: ``settle(state, delta, receipt, now)``, what settling does to a state.
    """

    receipt: Callable[[State | None, State], Receipt]
    settle: Callable[[State | None, int, Receipt | None, int], Settlement]


@runtime_checkable
class PreparedSettling(Protocol):
    """A strategy that prepares its settling for a rate, ahead of the hits; all built-in ones do."""

    def settler(self, rate: Rate) -> Settler:
        """`Settling` for `rate`."""
        ...


def probe(kernel: Kernel, state: State | None, now: int) -> Decision:
    """What is left, and the wait until one more unit is; changes nothing."""
    decision = kernel(state, 0, now)[0]
    if decision.remaining > 0:
        return decision
    return decision._replace(retry_after=kernel(state, 1, now)[0].retry_after)


def settled(kernel: Kernel, state: State | None, settlement: Settlement, now: int) -> Settled:
    """A settlement of `state` with the decision about the quota after it."""
    changed, ttl, applied = settlement
    decision = probe(kernel, state if changed is None else changed, now)
    return Settled(decision._replace(allowed=True), changed, ttl, applied)


def charge_anyway(kernel: Kernel, state: State | None, units: int, now: int) -> Settlement:
    """Charge as many of the `units` as a kernel admits whose capacity is the most that may be used in any case."""
    applied = min(units, kernel(state, 0, now)[0].remaining)
    if applied <= 0:
        return UNCHANGED
    _, changed, ttl = kernel(state, applied, now)
    return changed, ttl, applied


class Twin(NamedTuple):
    """The kernel for one rate as a script in Redis finds it.

    Attributes:
        name: the name of the Lua kernel.
        numbers: what has been worked out from the strategy and the rate; integers below `EXACT`.
    """

    name: str
    numbers: tuple[int, ...]


@runtime_checkable
class Twinned(Protocol):
    """A strategy that also exists in Lua, so that Redis can run it in one step; all built-in ones do.

    Both answer the same, to the last bit, to the same state. A subclass that decides otherwise has another twin.
    """

    def twin(self, rate: Rate) -> Twin:
        """The Lua kernel for `rate`.

        Raises:
            RateError: this strategy cannot count `rate` exactly.
        """
        ...


def finest_tick(period: int, fits: Callable[[int], bool]) -> int | None:
    """The finest power of ten of µs that divides `period` and that `fits`; None if there is none."""
    tick = 1
    while period % tick == 0:
        if fits(tick):
            return tick
        tick *= 10
    return None


def inexact(strategy: object, rate: Rate) -> RateError:
    """The error for a rate whose numbers would not stay below `EXACT`."""
    return RateError(
        f"{describe(strategy)} cannot count {str(rate)!r} exactly: limit times period is too large for 53 bits even in "
        f"coarser ticks; lower the limit, shorten the period, or choose a period of whole seconds"
    )
