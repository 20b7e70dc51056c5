"""Bans: a limit refuses a client until a given time, even if the client has quota left.

A client is identified by a mark, a keyed hash of its key, so a list of bans contains no keys. A limit looks for bans
only while a client is banned from it. All scopes of a client share a ban.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from traffik.backends import binding
from traffik.identities.proxies import DENIED, EXEMPTED
from traffik.model.callables import Context
from traffik.model.decisions import Decision
from traffik.model.keys import as_text, local_key, sealed, without_scope

if TYPE_CHECKING:
    from traffik.strategies import Plan

__all__ = ["BANNED", "MOST_BANS", "Bans", "Identify", "guarded"]

BANNED: Final = "banned"
"""The `degraded` of a decision that refuses a banned client."""

MOST_BANS: Final = 10_000
"""The most bans at a time. With more, the one that ends first is lifted."""

Identify: TypeAlias = "Callable[[Any, Context], object] | None"
"""A function that returns the identity of a subject, or an awaitable; None if the subject is the identity."""

_all: Final[list[Bans]] = []


class Bans:
    """A set of bans.

    Args:
        seal: the secret of the marks, prepared by `traffik.model.keys.seal`.
        clock: seconds since 1970.
    """

    def __init__(self, seal: bytes, clock: Callable[[], float] = time.time) -> None:
        self.seal = seal
        self._clock = clock
        self._ends: dict[str, dict[str, float]] = {}

    def mark_of(self, key: str) -> str:
        """The mark of a client, from one of its local keys."""
        return sealed(without_scope(key), self.seal)

    def ban(self, uid: str, mark: str, until: float) -> None:
        """Refuse a client in the limits with this uid until a time, in seconds since 1970."""
        ends = {name: dict(each) for name, each in self._ends.items()}
        ends.setdefault(uid, {})[mark] = until
        if sum(map(len, ends.values())) > MOST_BANS:
            first, _ = min(((name, who) for name in ends for who in ends[name]), key=lambda at: ends[at[0]][at[1]])
            ends[first].pop(min(ends[first], key=lambda who: ends[first][who]))
        self.replace(ends)

    def lift(self, uid: str, mark: str) -> None:
        """End a ban. Does nothing if there is none."""
        self.replace({name: {m: e for m, e in each.items() if (name, m) != (uid, mark)} for name, each in self})

    def replace(self, ends: Mapping[str, Mapping[str, float]]) -> None:
        """Replace all bans by these: the time at which each ends, by uid and mark."""
        now = self._clock()
        wanted = {uid: {mark: end for mark, end in each.items() if end > now} for uid, each in ends.items()}
        wanted = {uid: each for uid, each in wanted.items() if each}
        changed = wanted.keys() ^ self._ends.keys()
        self._ends = wanted
        if wanted and self not in _all:
            _all.append(self)
        if changed:
            binding.notify_subscribers()

    def __iter__(self) -> Any:
        return iter([(uid, dict(each)) for uid, each in self._ends.items()])

    def close(self) -> None:
        """Lift all bans."""
        if self in _all:
            _all.remove(self)
            binding.notify_subscribers()

    def bans_from(self, uid: str) -> bool:
        """Whether a client is banned from the limit `uid`."""
        return uid in self._ends

    def left(self, uid: str, key: str) -> float:
        """Seconds for which a client stays banned; 0 or less if it is not."""
        return self._ends.get(uid, {}).get(self.mark_of(key), 0.0) - self._clock()


def guarded(uid: str, counted: Plan, identify: Identify, identified_by: str) -> Identify:
    """`identify`, extended to return the refusal of a banned client; unchanged if no client is banned.

    Args:
        uid: of the limit.
        counted: the plan by which it counts.
        identify: returns the identity of a subject.
        identified_by: its name in error messages.
    """
    active = [bans for bans in _all if bans.bans_from(uid)]
    if not active:
        return identify

    def check(identity: object) -> object:
        if identity is EXEMPTED or identity is DENIED:
            return identity
        key = local_key(None, as_text(identity, identified_by))
        left = max(bans.left(uid, key) for bans in active)
        return _refusal(counted, left) if left > 0 else identity

    async def awaited(identity: Awaitable[object]) -> object:
        return check(await identity)

    def identify_unless_banned(subject: Any, context: Context) -> object:
        identity = subject if identify is None else identify(subject, context)
        return awaited(identity) if isinstance(identity, Awaitable) else check(identity)

    return identify_unless_banned


def _refusal(counted: Plan, left: float) -> Decision:
    wait = max(1, int(left * 1_000_000))
    rates = counted.rates
    return Decision(False, counted.capacity, 0, wait, wait, rates[0] if rates else None, BANNED)
