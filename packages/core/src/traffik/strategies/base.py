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
    "Kernel",
    "Prepared",
    "State",
    "Strategy",
    "Transition",
    "Twin",
    "Twinned",
    "finest_tick",
    "inexact",
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
