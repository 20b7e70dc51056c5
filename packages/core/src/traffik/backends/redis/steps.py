"""How a batch of charges goes, as steps: the one source for async and sync code.

First the deny cache and the breaker are asked, then the servers, and where they do not answer the error policy. A
recipe yields a step only where something has to be waited for; it sends nothing itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from traffik.backends.base import Charge
from traffik.backends.redis.script import CHARGE, PEEK, PROBE, READ, SWAP, Order, Stored
from traffik.backends.redis.states import decode, encode, in_script
from traffik.model.decisions import Decision
from traffik.model.errors import BackendError
from traffik.strategies import Prepared, probe

if TYPE_CHECKING:
    from traffik.backends.resilience.breaker import Circuit
    from traffik.backends.resilience.denials import Denials
    from traffik.backends.resilience.failures import Failures
    from traffik.strategies import Plan

__all__ = ["Ask", "Await", "Core", "Hold", "Move", "Release", "Steps"]

_T = TypeVar("_T")

_MARGIN: Final = 100
"""ms that a key outlives what it says, since the clock of expiry is coarser than ours."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the servers; the answers come back, or a `BackendError` is thrown in."""

    orders: Sequence[Order]


@dataclass(frozen=True, slots=True)
class Hold:
    """Let nobody else of this process near a key, until it is released or the recipe ends."""

    key: str


@dataclass(frozen=True, slots=True)
class Release:
    """Let others near a key again, if it is held."""

    key: str


@dataclass(frozen=True, slots=True)
class Await:
    """Await for what a function of the user's has answered with."""

    awaitable: Awaitable[Any]
    name: str


Move: TypeAlias = Ask | Hold | Release | Await
Steps: TypeAlias = Generator[Move, Any, _T]


class Core:
    """What decides which way a charge goes.

    Args:
        key_of: the whole key of a uid and a local key.
        clock: µs that never go back.
        circuit: the breaker.
        failures: the error policy.
        denials: the deny cache, if there is one.
        count: called with the reason of each decision that is not the store's own.
    """

    def __init__(
        self,
        key_of: Callable[[str, str], str],
        clock: Callable[[], int],
        circuit: Circuit,
        failures: Failures,
        denials: Denials | None,
        count: Callable[[str], None],
    ) -> None:
        self._key_of = key_of
        self._clock = clock
        self._circuit = circuit
        self._failures = failures
        self._denials = denials
        self._count = count

    def apply(self, charges: Sequence[Charge]) -> Steps[list[Decision]]:
        """Decide `charges`."""
        if len(charges) == 1:
            return [(yield from self._one(charges[0]))]
        decisions: dict[int, Decision] = {}
        asked: dict[int, Order] = {}
        for place, charge in enumerate(charges):
            order = self._order(charge)
            known = self._known(order, charge)
            if known is not None:
                decisions[place] = known
            elif not in_script(charge.plan):
                decisions[place] = yield from self._one(charge)
            else:
                asked[place] = order
        if asked:
            began = self._clock()
            answers = yield from self._answers(list(asked.values()))
            for (place, order), answer in zip(asked.items(), answers, strict=True):
                decisions[place] = yield from self._decision(charges[place], order, answer, began)
        return [decisions[place] for place in range(len(charges))]

    def instead(self, charge: Charge, error: Any) -> Steps[Decision]:
        """The decision on a charge that has been asked of a server, and was answered with an error."""
        return self._degraded(charge, error)

    def _one(self, charge: Charge) -> Steps[Decision]:
        order = self._order(charge)
        began = self._clock() if self._denials is not None else 0
        known = self._known(order, charge)
        if known is not None:
            return known
        if not self._circuit.closed and not self._circuit.admits(self._now()):
            return (yield from self._degraded(charge, BackendError("the store is away: its breaker is open")))
        try:
            if in_script(charge.plan):
                (answer,) = yield Ask((order,))
            else:
                answer = yield from self._swapped(order.key, charge)
        except BackendError as error:
            answer = error
        if not in_script(charge.plan):
            yield Release(order.key)
        if self._denials is None and type(answer) is Decision:
            return answer
        return (yield from self._decision(charge, order, answer, began))

    def _order(self, charge: Charge) -> Order:
        uid, plan, key, cost, read_only = charge
        operation = CHARGE if not read_only else PEEK if cost else PROBE
        return Order(self._key_of(uid, key), operation, plan, cost)

    def _known(self, order: Order, charge: Charge) -> Decision | None:
        """The decision of the deny cache, if it has one."""
        if self._denials is None or charge.cost == 0:
            return None
        known = self._denials.find(order.key, charge.plan, charge.cost, self._clock())
        if known is not None and known.degraded is not None:
            self._count(known.degraded)
        return known

    def _answers(self, orders: Sequence[Order]) -> Steps[list[Any]]:
        """The answers to several orders; the same error for each if there are none."""
        if not self._circuit.closed and not self._circuit.admits(self._now()):
            return [BackendError("the store is away: its breaker is open")] * len(orders)
        try:
            answers: list[Any] = yield Ask(orders)
        except BackendError as error:
            return [error] * len(orders)
        return answers

    def _decision(self, charge: Charge, order: Order, answer: Any, began: int) -> Steps[Decision]:
        """What a server's answer means for a charge; a refusal is remembered."""
        if isinstance(answer, BackendError):
            return (yield from self._degraded(charge, answer))
        decision: Decision = answer
        if charge.cost and not charge.read_only and self.remembers(charge.plan):
            self.note(order.key, charge.plan, charge.cost, decision, began)
        return decision

    def remembers(self, plan: Plan) -> bool:
        """Whether refusals by `plan` are remembered: with a strategy of the user's, a larger cost may wait less."""
        return self._denials is not None and isinstance(plan.strategy, Prepared)

    def note(self, key: str, plan: Plan, cost: int, decision: Decision, began: int) -> None:
        """Remember a refusal that was asked for at `began`; an admission ends what was remembered."""
        if self._denials is None:
            return
        if decision.allowed:
            self._denials.admitted(key)
        else:
            self._denials.note(key, plan, cost, decision, began)

    def _swapped(self, key: str, charge: Charge) -> Steps[Decision]:
        """Decide in Python, and store what comes of it if nobody else has stored anything meanwhile; else again.

        Raises:
            BackendError: the servers do not answer, or not by the deadline.
        """
        _, plan, _, cost, read_only = charge
        if not read_only:
            yield Hold(key)
        while True:
            stored = yield from self._read(key)
            state = decode(stored.value, plan)
            if cost == 0:
                return probe(plan.kernel, state, stored.now)
            decision, changed, ttl = plan.kernel(state, cost, stored.now)
            if changed is None or read_only:
                return decision
            texts = (stored.value or b"", encode(changed, plan), str(-(-ttl // 1000) + _MARGIN))
            (swapped,) = yield Ask((Order(key, SWAP, texts=texts),))
            if isinstance(swapped, BackendError):
                raise swapped
            if swapped:
                return decision

    def _read(self, key: str) -> Steps[Stored]:
        (answer,) = yield Ask((Order(key, READ),))
        if isinstance(answer, BackendError):
            raise answer
        stored: Stored = answer
        return stored

    def _degraded(self, charge: Charge, error: BackendError) -> Steps[Decision]:
        """The decision on a charge without the servers."""
        failures = self._failures
        answer: Any = failures.policy
        if failures.decider is not None:
            answer = failures.decider.call(error, charge)
            if isinstance(answer, Awaitable):
                answer = yield Await(answer, failures.decider.name)
        wait = self._circuit.wait(self._now()) or self._circuit.breaker.recovery
        decision = failures.settle(answer, error, charge, int(wait * 1_000_000))
        self._count(decision.degraded or "on_error")
        return decision

    def _now(self) -> float:
        return self._clock() / 1_000_000
