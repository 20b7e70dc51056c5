"""Several limits in one step, and what is settled afterwards, on the servers; see `traffik.backends.postings`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from traffik.backends.postings import (
    FORESEE,
    SETTLE,
    TRY,
    LimitAccount,
    Posted,
    Taken,
    post_each,
    settle_surely,
    take_in_turn,
    take_together,
)
from traffik.backends.redis.charging import Charging, Target, spared
from traffik.backends.redis.client import Client
from traffik.backends.redis.script import LAST, POSTINGS, Answer, Operation, Told
from traffik.backends.redis.swapping import swap_in
from traffik.backends.resilience.failures import charge_of, charges_of
from traffik.model.errors import BackendError

if TYPE_CHECKING:
    from traffik.backends.postings import Fetch, Keep, Posting, Take

__all__ = ["RedisAccount", "Taking"]


class RedisAccount(LimitAccount):
    """A limit in the store, with what its charges have in common."""

    __slots__ = ("target",)

    def __init__(self, store: Any, target: Target) -> None:
        super().__init__(store, target.uid, target.plan)
        self.target: Target = target


@dataclass(frozen=True, slots=True, eq=False)
class Taking:
    """Takes and posts, by what `charging` knows of the servers and of the error policy."""

    charging: Charging

    async def take(self, takes: Sequence[Take], kind: int, back: Sequence[Posting], client: Client) -> Taken:
        """Take units of several accounts, all or not at all: in one step if a server can do that.

        Takes in different slots of a cluster, and those of strategies that the script does not know, come one after
        the other.
        """
        if not client.divided and all(account.target.scripted for account, _, _ in takes):
            return await self._take_here(takes, kind, back, client)
        groups: dict[object, list[int]] = {}
        for place, (account, key, _) in enumerate(takes):
            target: Target = account.target
            step = place if not target.scripted else client.step_of(target.key_of(key)) if client.divided else 0
            groups.setdefault((target.scripted, step), []).append(place)
        if len(groups) == 1:
            return await self._take_here(takes, kind, back, client)
        if back:
            await settle_surely(back, client.ways.sync)

        async def take(takes: Sequence[Take], kind: int) -> Taken:
            return await self._take_here(takes, kind, (), client)

        return await take_in_turn([*groups.values()], takes, kind, take, client.ways.sync)

    async def _take_here(self, takes: Sequence[Take], kind: int, back: Sequence[Posting], client: Client) -> Taken:
        """Take units in one step."""
        deadline = monotonic() + self.charging.deadline
        account, key, _ = takes[0]
        target: Target = account.target
        answers: Sequence[Answer | Taken]
        if not target.scripted:
            whole = target.key_of(key)

            def work(now: int, fetch: Fetch, keep: Keep) -> Taken:
                post_each(back, now, fetch, keep)
                return take_together(takes, kind, now, fetch, keep)

            answers = await self._unless_spared(lambda: swap_in(whole, target.plan, deadline, client, work))
        else:
            operations = _operations(takes, kind)
            if back:
                operations = [*map(_operation, back), *operations]
            answers = [spared()] if self._spared() else await client.ask(operations, deadline)
            answers = answers[len(back) :] or answers
        error = answers[0]
        if isinstance(error, BackendError):  # then it is the answer to each of them
            reactions = [await self.charging.reaction(error, charge, client) for charge in charges_of(takes, kind)]
            taken = self.charging.failures.take(reactions, copy(error), takes, kind, self.charging.wait())
            for decision in taken.decisions:
                self.charging.count(decision.degraded or "on_error")
            return taken
        taken = answers[0] if isinstance(answers[0], Taken) else _taken(takes, answers)
        if self.charging.denials is not None and kind != TRY and all(taken.decisions):
            self._admitted(takes)
        return taken

    async def post(self, postings: Sequence[Posting], client: Client) -> list[Posted]:
        """Carry out postings: in one step for those in one slot whose strategies the script knows."""
        deadline = monotonic() + self.charging.deadline
        scripted = [place for place, posting in enumerate(postings) if posting.account.target.scripted]
        found: dict[int, Answer | list[Posted]] = {}
        if scripted:
            operations = [_operation(postings[place]) for place in scripted]
            asked = await self._unless_spared(lambda: client.ask_each(operations, deadline))
            found |= zip(scripted, asked, strict=False)
        for place in [place for place in range(len(postings)) if place not in scripted]:
            found[place] = await self._post_unscripted(postings[place], deadline, client)
        posted: list[Posted] = []
        for place, posting in enumerate(postings):
            answer = found.get(place, found[scripted[0]] if scripted else None)
            posted.append(await self._posted(posting, answer, client))
        self._admitted([(posting.account, posting.key, 0) for posting in postings])
        return posted

    async def _post_unscripted(self, posting: Posting, deadline: float, client: Client) -> Answer | list[Posted]:
        target: Target = posting.account.target

        def work(now: int, fetch: Fetch, keep: Keep) -> list[Posted]:
            return post_each((posting,), now, fetch, keep)

        whole = target.key_of(posting.key)
        answer: Answer | list[Posted]
        (answer,) = await self._unless_spared(lambda: swap_in(whole, target.plan, deadline, client, work))
        return answer

    async def _posted(self, posting: Posting, answer: Any, client: Client) -> Posted:
        """The answer to a posting that follows from that of the servers."""
        if isinstance(answer, list):
            posted: Posted = answer[0]
            return posted
        if isinstance(answer, Told):
            decision, numbers = answer
            return Posted(decision, waits=numbers) if posting.kind == FORESEE else Posted(decision, numbers[0])
        reaction = await self.charging.reaction(answer, charge_of(posting), client)
        (posted,) = self.charging.failures.post((reaction,), copy(answer), (posting,), self.charging.wait())
        self.charging.count(posted.decision.degraded or "on_error")
        return posted

    async def _unless_spared(self, ask: Callable[[], Awaitable[Sequence[Any]]]) -> Sequence[Any]:
        """Call the servers, unless the breaker is open; their answers."""
        return [spared()] if self._spared() else await ask()

    def _spared(self) -> bool:
        """Whether the breaker is open, so that the servers are not asked."""
        return not self.charging.circuit.closed and not self.charging.circuit.admits(monotonic())

    def _admitted(self, takes: Sequence[Take]) -> None:
        """Let the deny cache forget keys that have got units, or given some back."""
        if self.charging.denials is not None:
            for account, key, _ in takes:
                self.charging.denials.admitted(account.target.key_of(key))


_new = tuple.__new__


def _operations(takes: Sequence[Take], kind: int) -> list[Operation]:
    """The operations of takes that are decided together."""
    kinds = [kind + POSTINGS] * len(takes)
    kinds[-1] += LAST
    return [
        _new(Operation, (account.target.key_of(key), each, account.plan, cost, ()))
        for (account, key, cost), each in zip(takes, kinds, strict=True)
    ]


def _operation(posting: Posting) -> Operation:
    """The operation of one posting."""
    kind, account, key, units, receipt, costs = posting
    texts: tuple[str, ...] = ()
    if kind == SETTLE:
        texts = ("".join(f"{_in_text(each)};" for each in receipt or ()),)
    elif kind == FORESEE:
        texts = (_in_text(costs),)
    return Operation(account.target.key_of(key), POSTINGS + kind, account.plan, units, texts)


def _taken(takes: Sequence[Take], answers: Sequence[Any]) -> Taken:
    """Takes that follow from the answers of the servers."""
    if not isinstance(answers[0], Told):
        return Taken(list(answers))
    decisions = [answer.decision for answer in answers]
    if not all(decisions):
        return Taken(decisions)
    return Taken(
        decisions,
        [(account, answer.numbers) for (account, _, _), answer in zip(takes, answers, strict=True)],
    )


def _in_text(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))
