"""Strategies that the script does not know: their kernels run here, and compare-and-swap keeps the state.

If another process has stored a state meanwhile, the kernel decides again on that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from traffik.backends.redis.client import Client
from traffik.backends.redis.script import CHARGE, PROBE, READ, SWAP, Answer, Operation, Stored
from traffik.backends.redis.states import decode, encode
from traffik.model.decisions import Decision
from traffik.model.errors import BackendTimeoutError
from traffik.strategies import probe

if TYPE_CHECKING:
    from traffik.backends.postings import Fetch, Keep
    from traffik.strategies import Plan, State

__all__ = ["decide_here", "swap_in"]

_MARGIN: Final = 100
"""ms that a key stays after its state has expired, since the server's clock for expiry is coarser than ours."""


_LONGEST: Final = 2**53
"""ms; the server refuses a time to live near 2**63."""


async def decide_here(operation: Operation, plan: Plan, deadline: float, client: Client) -> Answer:
    """The decision of a strategy that the script does not know."""
    kind, cost = operation.kind, operation.cost

    def decide(now: int, fetch: Fetch, keep: Keep) -> Decision:
        state = fetch(None, "")
        if kind == PROBE:
            return probe(plan.kernel, state, now)
        decision, changed, ttl = plan.kernel(state, cost, now)
        if changed is not None and kind == CHARGE:
            keep(None, "", changed, ttl, now)
        return decision

    answer: Answer
    (answer,) = await swap_in(operation.key, plan, deadline, client, decide, write=kind == CHARGE)
    return answer


async def swap_in(
    key: str,
    plan: Plan,
    deadline: float,
    client: Client,
    work: Callable[[int, Fetch, Keep], Any],
    *,
    write: bool = True,
) -> Sequence[Any]:
    """Run `work` on the state of a key, in Python; its result, or the error.

    If another process has stored a state meanwhile, it begins again. Only one caller of a client at a time decides on a
    key, since only one could store its state.
    """
    if not write:
        return [await _carried_out(key, plan, deadline, client, work)]
    try:
        async with client.ways.hold(key, deadline):
            return [await _carried_out(key, plan, deadline, client, work)]
    except BackendTimeoutError as error:
        return [error]


async def _carried_out(
    key: str, plan: Plan, deadline: float, client: Client, work: Callable[[int, Fetch, Keep], Any]
) -> Any:
    while True:
        (stored,) = await client.ask((Operation(key, READ),), deadline)
        if not isinstance(stored, Stored):
            return stored
        draft = _Draft(decode(stored.value, plan))
        answer = work(stored.now, draft.fetch, draft.keep)
        if draft.ttl is None or draft.state is None:
            return answer
        life = min(int(-(-draft.ttl // 1000)) + _MARGIN, _LONGEST)
        texts = (stored.value or b"", encode(draft.state, plan), str(life))
        (swapped,) = await client.ask((Operation(key, SWAP, texts=texts),), deadline)
        if swapped is not False:
            return answer if swapped is True else swapped


class _Draft:
    """The state of one key while Python decides."""

    __slots__ = ("state", "ttl")

    def __init__(self, state: State | None) -> None:
        self.state = state
        self.ttl: int | None = None

    def fetch(self, _account: object, _key: str) -> State | None:
        return self.state

    def keep(self, _account: object, _key: str, state: State, ttl: int, _now: int) -> None:
        self.state, self.ttl = state, ttl
