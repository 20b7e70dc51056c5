"""The path of a charge: deny cache, breaker, servers, and the error policy if they do not answer.

For async and sync code: it awaits only awaitable results of a client or of a user's function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from traffik.backends.base import Charge
from traffik.backends.redis.client import Client
from traffik.backends.redis.script import (
    CHARGE,
    PEEK,
    PROBE,
    Answer,
    Operation,
)
from traffik.backends.redis.states import in_script
from traffik.backends.redis.swapping import decide_here
from traffik.model.coroutines import must_wait
from traffik.model.decisions import Decision
from traffik.model.errors import BackendError
from traffik.strategies import Prepared

if TYPE_CHECKING:
    from traffik.backends.resilience.breaker import Circuit
    from traffik.backends.resilience.denials import Denials
    from traffik.backends.resilience.failures import Failures
    from traffik.strategies import Plan

__all__ = ["Charging", "Target", "spared"]

_new = tuple.__new__


class Target(NamedTuple):
    """The common data of all charges of one limit.

    Attributes:
        uid: the uid of the throttle.
        plan: the strategy, prepared for its rates.
        key_of: returns the key in the server for a local key.
        scripted: whether the script decides; if not, Python does.
        remembered: whether to use the deny cache. Not for a user's strategy, which may admit a larger cost earlier.
    """

    uid: str
    plan: Plan
    key_of: Callable[[str], str]
    scripted: bool
    remembered: bool


@dataclass(frozen=True, slots=True, eq=False)
class Charging:
    """Decides on charges.

    Attributes:
        keys_of: returns for a uid the function that returns the key in the server for a local key.
        deadline: seconds that a charge may take.
        circuit: the breaker.
        failures: the error policy.
        denials: the deny cache; None if there is none.
        count: called with the reason of each decision that the server did not make.
    """

    keys_of: Callable[[str], Callable[[str], str]]
    deadline: float
    circuit: Circuit
    failures: Failures
    denials: Denials | None
    count: Callable[[str], None]

    def target(self, uid: str, plan: Plan) -> Target:
        """The common data of the charges of a limit."""
        remembered = self.denials is not None and isinstance(plan.strategy, Prepared)
        return Target(uid, plan, self.keys_of(uid), in_script(plan), remembered)

    async def apply(self, charges: Sequence[Charge], client: Client) -> list[Decision]:
        """Decide on `charges`. Those on one server, or in one slot of a cluster, are one step."""
        decisions: dict[int, Decision] = {}
        asked: dict[int, tuple[Target, Operation]] = {}
        for place, (uid, plan, key, cost, read_only) in enumerate(charges):
            target, kind = self.target(uid, plan), CHARGE if not read_only else PEEK if cost else PROBE
            operation = Operation(target.key_of(key), kind, plan, cost)
            if len(charges) == 1 or not target.scripted:
                decisions[place] = await self.decide(target, kind, client, key, cost)
            elif (known := self._known(target, operation)) is not None:
                decisions[place] = known
            else:
                asked[place] = target, operation
        if asked:
            began, operations = monotonic(), [operation for _, operation in asked.values()]
            answers: Sequence[Answer] = [spared()] * len(asked)
            if self.circuit.admits(began):
                answers = await client.ask_each(operations, began + self.deadline)
            for (place, (target, operation)), answer in zip(asked.items(), answers, strict=True):
                key = charges[place].key
                decisions[place] = await self._settled(target, operation, client, key, answer, began)
        return [decisions[place] for place in range(len(charges))]

    async def decide(self, target: Target, kind: int, client: Client, key: str, cost: int) -> Decision:
        """Decide on one charge. `kind` is `CHARGE`, `PEEK`, or `PROBE` for a cost of 0."""
        _, plan, key_of, scripted, remembered = target
        operation: Operation = _new(Operation, (key_of(key), kind, plan, cost, ()))
        if remembered and (known := self._known(target, operation)) is not None:
            return known
        began = monotonic()
        answer: Answer
        if not self.circuit.closed and not self.circuit.admits(began):
            answer = spared()
        elif scripted:
            (answer,) = await client.ask((operation,), began + self.deadline)
        else:
            answer = await decide_here(operation, plan, began + self.deadline, client)
        if type(answer) is Decision and not remembered:
            return answer
        return await self._settled(target, operation, client, key, answer, began)

    def _known(self, target: Target, operation: Operation) -> Decision | None:
        """The decision in the deny cache; None if there is none."""
        if self.denials is None or not target.remembered or operation.cost == 0:
            return None
        known = self.denials.find(operation.key, target.plan, operation.cost, _micros(monotonic()))
        if known is not None and known.degraded is not None:
            self.count(known.degraded)
        return known

    async def _settled(
        self, target: Target, operation: Operation, client: Client, key: str, answer: Answer, began: float
    ) -> Decision:
        """The decision for an answer of the servers. Refusals are added to the deny cache."""
        if not isinstance(answer, Decision):
            charge = Charge(target.uid, target.plan, key, operation.cost, operation.kind != CHARGE)
            return await self._degraded(charge, answer, client)
        if self.denials is not None and target.remembered and operation.kind == CHARGE:
            if answer.allowed:
                self.denials.admitted(operation.key)
            else:
                self.denials.note(operation.key, target.plan, operation.cost, answer, _micros(began))
        return answer

    async def _degraded(self, charge: Charge, answer: Any, client: Client) -> Decision:
        """The decision on a charge without the servers."""
        error: BackendError = copy(answer)  # several hits share one error, and each adds a traceback to its copy
        decision = self.failures.settle(await self.reaction(error, charge, client), error, charge, self.wait())
        self.count(decision.degraded or "on_error")
        return decision

    async def reaction(self, error: BackendError, charge: Charge, client: Client) -> Any:
        """The error policy, or the result of the user's function."""
        decider = self.failures.decider
        if decider is None:
            return self.failures.policy
        reaction = decider.call(error, charge)
        return (await reaction) if must_wait(reaction, decider.name, client.ways.sync) else reaction

    def wait(self) -> int:
        """µs until the servers are asked again."""
        return _micros(self.circuit.wait(monotonic()) or self.circuit.breaker.recovery)


def spared() -> BackendError:
    """The error while the breaker is open."""
    return BackendError("the store is not called for now, since it has failed: its breaker is open")


def _micros(seconds: float) -> int:
    return int(seconds * 1_000_000)
