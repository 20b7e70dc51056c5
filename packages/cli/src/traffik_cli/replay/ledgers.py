"""The keys of one limit in a replay: their states, and what became of their requests.

A decision is the plan's kernel's, as in production: state, cost and instant in, decision and state out. Two facts make
it quick. A state whose ttl has passed counts as none, as in every store, and a hit on none is admitted: the kernel is
not asked about such a hit until the key comes again before the state can have lapsed. And a kernel is pure, so that all
keys that begin at one instant share one state.

Memory holds what lives. A key whose state has lapsed is only a tally, and of tallies there are `most` at most: beyond
that those of lapsed keys are folded into sums, the unrefused first, and a key that comes back is counted as another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from traffik.model.decisions import ADMITTED, NEVER, Decision
from traffik.model.rates import Rate
from traffik.strategies import Kernel, Plan, State
from traffik_cli.replay.batches import Hit
from traffik_cli.replay.selectors import Selector, identity_in, is_address, is_nothing

__all__ = ["MOST", "Folded", "Ledger", "Refusals", "Tally"]

MOST: Final = 1_000_000
"""How many keys, dead ones included, are counted separately."""

_DIGITS: Final = frozenset(b"0123456789")
_BEFORE: Final = -(2**63)

_BIRTHS: Final = 4096
"""States of keys that began at one instant, which are remembered."""


@dataclass(slots=True)
class Refusals:
    """What became of a key that was refused.

    Attributes:
        count: its refused requests.
        first: the first of them, µs since the epoch.
        last: the last.
        longest: the longest wait it was told, µs.
        by: refusals by the rate that refused.
    """

    count: int = 0
    first: int = 0
    last: int = 0
    longest: int = 0
    by: Counter[str] = field(default_factory=Counter)


class Tally:
    """What is known of one key. Read and written for every line of a log, so it is no more than it has to be.

    Attributes:
        lapses: the instant at which its state lapses, if that is known.
        state: what its last admitted hit has left; the instant of that hit if there was no state before it.
        requests: how many there were.
        refusals: what became of those refused; None if none was.
    """

    __slots__ = ("lapses", "refusals", "requests", "state")

    def __init__(self) -> None:
        self.lapses: int = _BEFORE
        self.state: State | int | None = None
        self.requests: int = 0
        self.refusals: Refusals | None = None


class Ledger:
    """Decides on the hits of one limit and keeps count.

    Args:
        plan: the strategy, made ready for its rates.
        cost: units of quota that a hit takes, at least 1.
        selector: where its keys come from.
        most: keys that are counted separately.

    Attributes:
        requests: hits so far.
        keyless: those without a key, which nothing limits.
        folded: keys that are not told apart any more, and their requests and refused keys.
        longest: the longest wait, and the key and instant at which it was.
        never: whether something was refused that can never be admitted.
        refusal: the latest decision that refused a hit; None if none has.
    """

    __slots__ = (
        "_aliases",
        "_births",
        "_cost",
        "_groups",
        "_kernel",
        "_named",
        "_rate",
        "_room",
        "_span",
        "folded",
        "keyless",
        "longest",
        "most",
        "never",
        "plan",
        "refusal",
        "requests",
        "selector",
        "table",
    )

    def __init__(self, plan: Plan, cost: int, selector: Selector, most: int = MOST) -> None:
        self.plan: Plan = plan
        self.selector: Selector = selector
        self.most: int = most
        self.table: dict[Hit, Tally] = {}
        """By the key as it stands in the log; several may stand for one identity, and then share its entry."""
        self.requests: int = 0
        self.keyless: int = 0
        self.folded: Folded = Folded()
        self.longest: tuple[int, bytes, int] = (0, b"", 0)
        self.never: bool = False
        self.refusal: Decision | None = None
        self._groups: dict[bytes, Tally] = {}
        self._aliases = False
        self._room = most
        self._cost = cost
        self._kernel = _kernel_of(plan, cost)
        self._span = _span(plan, self._kernel, cost)
        self._rate: Rate | None = None
        self._named = ""
        self._births: dict[int, tuple[State | None, int]] = {}

    def decide(self, now: int, keys: Sequence[Hit], units: int | None = None, plan: Plan | None = None) -> int:
        """Decide hits at one instant; how many were refused."""
        return len(self.decide_all([now] * len(keys), keys, units, plan))

    def decide_all(
        self, times: Sequence[int], keys: Sequence[Hit], units: int | None = None, plan: Plan | None = None
    ) -> list[int]:
        """Decide hits; the instants of those refused. This loop is what a replay spends its time in.

        Args:
            times: the instant of each, µs, in order.
            keys: the key of each.
            units: of quota that each of them takes; None for the cost of the limit.
            plan: the rates that count for them, if they have others on the same keys; None for those of the limit.
        """
        known, kernel, cost, span = self.table.get, self._kernel, self._cost, self._span
        lasts = span
        if units is not None or plan is not None:
            cost = self._cost if units is None else units
            kernel, span = _kernel_of(plan or self.plan, cost), 0
        refused: list[int] = []
        for now, key, found in zip(times, keys, map(known, keys), strict=True):
            entry = found or self._arrive(key, now)
            if entry is None:
                continue
            entry.requests += 1
            state: Any = entry.state
            if type(state) is int:
                state = self._begun(state, now) if now < state + lasts else None
            elif now >= entry.lapses:
                state = None
            if state is None and span:
                entry.state = now
                continue
            decision, state, ttl = kernel(state, cost, now)
            if state is not None:
                entry.lapses = now + ttl
                entry.state = state
            if not decision[0]:
                refused.append(now)
                self._refuse(key, entry, decision, now)
        self.requests += len(keys)
        return refused

    def _begun(self, began: int, now: int) -> State | None:
        """The state that a hit made of none; None if it has lapsed."""
        found = self._births.get(began)
        if found is None:
            if len(self._births) >= _BIRTHS:
                self._births.clear()
            _, state, ttl = self._kernel(None, self._cost, began)
            found = self._births[began] = state, began + ttl
        return found[0] if now < found[1] else None

    def count(self, key: bytes, requests: int) -> None:
        """Count requests of a key that are known to be admitted, without deciding them."""
        self.requests += requests
        if key:
            self._entry(key).requests += requests
        else:
            self.keyless += requests

    def entries(self) -> list[tuple[bytes, Tally]]:
        """Every key that is counted separately, with its entry, once."""
        if not self._aliases:
            return list(self.table.items())
        plain = [(key, entry) for key, entry in self.table.items() if not self._shared(key)]
        return plain + list(self._groups.items())

    def _shared(self, key: bytes) -> bool:
        return is_address(self.selector, key)

    def _arrive(self, key: Hit, now: int) -> Tally | None:
        """The entry of a key not seen before; None if it is none."""
        plain = key and key[0] in _DIGITS and b":" not in key  # as nearly all are; no other key means the same client
        if not plain and is_nothing(self.selector, key):
            self.keyless += 1
            return None
        if len(self.table) >= self._room:
            self._make_room(now)
        if not plain:
            return self._entry(key)
        entry = self.table[key] = Tally()
        return entry

    def _entry(self, key: bytes) -> Tally:
        entry = self.table.get(key)
        if entry is not None:
            return entry
        if not self._shared(key):
            entry = self.table[key] = Tally()
            return entry
        self._aliases = True
        # Several addresses may be one client: a network of IPv6, or an address of IPv4 written as one of IPv6.
        identity = identity_in(self.selector, key)
        home = self._groups if b":" in identity else self.table
        found = home.get(identity)
        if found is None:
            found = home[identity] = Tally()
        self.table[key] = found
        return found

    def _refuse(self, key: bytes, entry: Tally, decision: Decision, now: int) -> None:
        self.refusal = decision
        refusals = entry.refusals
        if refusals is None:
            refusals = entry.refusals = Refusals(first=now)
        refusals.count += 1
        refusals.last = now
        if decision.rate is not self._rate:
            self._rate, self._named = decision.rate, str(decision.rate)
        refusals.by[self._named] += 1
        wait = decision.retry_after
        if wait > refusals.longest:
            refusals.longest = wait
            if wait == NEVER:
                self.never = True
            elif wait > self.longest[0]:
                self.longest = (wait, identity_in(self.selector, key), now)

    def _lapses(self, entry: Tally) -> int:
        """The instant at which a state has lapsed at the latest."""
        return entry.state + self._span if isinstance(entry.state, int) else entry.lapses

    def _make_room(self, now: int) -> None:
        """Fold the tallies of lapsed keys, the refused only if that is not enough."""
        for harsh in (False, True):
            if len(self.table) < self.most // 2:
                break
            gone = [
                identity
                for identity, entry in self.entries()
                if (harsh or entry.refusals is None) and now >= self._lapses(entry)
            ]
            for identity in gone:
                grouped = identity in self._groups
                self.folded.add(self._groups.pop(identity) if grouped else self.table.pop(identity))
            alive = {id(entry) for _, entry in self.entries()}
            # From the table itself, since `decide` is at work on it.
            for key in [key for key, entry in self.table.items() if id(entry) not in alive]:
                del self.table[key]
        # Only what lives may be beyond the bound; the next look is when there is that much again.
        self._room = max(self.most, 2 * len(self.table))


@dataclass(slots=True)
class Folded:
    """Sums over keys that are not told apart any more.

    Attributes:
        keys: how many.
        touched: how many of them were refused.
        refusals: by the rate that refused.
        sizes: keys by the number of bits in their number of requests.
        touched_sizes: the same of those refused.
    """

    keys: int = 0
    touched: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    sizes: Counter[int] = field(default_factory=Counter)
    touched_sizes: Counter[int] = field(default_factory=Counter)

    def add(self, entry: Tally) -> None:
        """Fold one entry."""
        self.keys += 1
        self.sizes[entry.requests.bit_length()] += 1
        if entry.refusals is not None:
            self.touched += 1
            self.touched_sizes[entry.requests.bit_length()] += 1
            self.refusals.update(entry.refusals.by)


def _kernel_of(plan: Plan, cost: int) -> Kernel:
    if 0 < cost <= plan.ceiling:
        return plan.kernel
    return _settled(plan.without_store(cost) if cost else ADMITTED)


def _span(plan: Plan, kernel: Kernel, cost: int) -> int:
    """How long a state that one hit makes of none lives at most, µs; 0 if the hit makes none.

    The states of meters live equally long whenever they begin, the others two periods at most.
    """
    decision, state, ttl = kernel(None, cost, 0)
    if state is None or not decision.allowed:
        return 0
    return max(ttl, *(2 * rate.period for rate in plan.rates))


def _settled(decision: Decision) -> Kernel:
    """The kernel of a cost beyond what a store is asked about, whose answer needs no state."""

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:  # noqa: ARG001 - a seam
        return decision, None, 0

    return kernel
