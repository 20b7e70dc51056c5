"""The tables of the in-memory store, which forget keys by generation, without bookkeeping for each key.

The keys of one throttle are in a few dicts, the generations. A written key moves to the newest generation. A generation
is removed as a whole after the last of its states has expired (see `traffik.backends.inmemory.expired`). A full
generation ends early. The keys of a generation that has become sparse move to a smaller dict, a few at each hit.

Times are arguments, in µs on the store's clock. Not thread-safe: the store holds its lock.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from traffik.strategies import Plan, State

__all__ = ["FULL", "SPANS", "KeyTable", "bucket"]

SPANS: Final = 4
"""The generations in one ttl. More of them free memory sooner, but a new key is looked up in each."""

FULL: Final = 2**18 * 2 // 3
"""The most keys in a generation. A dict of CPython with 2**18 slots has room for so many, so the dicts of a large store
are full, and none is so large that the hit that makes it grow takes long."""

_SMALL: Final = 1024
"""A dict with room for so many keys, or fewer, is not replaced by a smaller one."""
_MOVED: Final = 4
"""The keys that move from a sparse generation to a smaller dict at one hit."""
_BUCKETS: Final = 1024
_FAR: Final = 2**63
_SHORTEST: Final = 1000
"""The shortest span of a generation, µs."""


class _Generation:
    """The states that were written in one span. Later, states are only removed from it.

    Attributes:
        states: the states by key.
        longest: their longest ttl, µs.
        expires: the time at which the last of them expires.
        room: the number of keys that the dict `states` has room for; 0 while keys move into it.
    """

    __slots__ = ("expires", "longest", "room", "states")

    def __init__(self, states: dict[str, State], longest: int, expires: int) -> None:
        self.states = states
        self.longest = longest
        self.expires = expires
        self.room = _room(len(states))

    @property
    def sparse(self) -> bool:
        """Whether the keys should move to a smaller dict."""
        return len(self.states) * 2 <= self.room > _SMALL


def _room(keys: int) -> int:
    """The number of keys that a dict of CPython with `keys` keys has room for: two thirds of a power of two."""
    return (1 << (keys * 3 // 2).bit_length()) * 2 // 3 if keys else 0


def _converted(states: dict[str, State], plan: Plan) -> dict[str, State]:
    """The states for `plan`, without those that it cannot use."""
    return {key: new for key, state in states.items() if (new := plan.from_sibling(state)) is not None}


class KeyTable:
    """The keys of one throttle, in generations.

    Attributes:
        plan: the plan of the last charge. Earlier plans were of the same family.
        newest: the states of the newest generation.
        longest: the longest ttl written to `newest`, µs.
        due: the time at which to `rotate`.
        span: how long the newest generation is open, µs.
        overflow: the shared states of keys that came when the store was full, by `bucket`.
        overflow_until: the time at which the last of the shared states expires.
    """

    __slots__ = (
        "__weakref__",
        "_ends",
        "_moving",
        "_older",
        "due",
        "longest",
        "newest",
        "overflow",
        "overflow_until",
        "plan",
        "span",
    )

    def __init__(self, plan: Plan) -> None:
        self.clear(plan)

    def clear(self, plan: Plan) -> None:
        """Forget all keys."""
        self.newest: dict[str, State] = {}
        self.plan: Plan = plan  # after `newest`, so that a hit in another thread finds no state of another plan
        self.longest: int = 0
        self.due: int = _FAR
        self.span: int = _SHORTEST
        self.overflow: dict[str, State] = {}
        self.overflow_until: int = 0
        self._ends = _FAR
        self._older: list[_Generation] = []
        self._moving: tuple[_Generation, _Generation] | None = None

    def convert(self, plan: Plan) -> int:
        """Use a plan of a sibling family, and convert all states. Returns the number of keys removed."""
        before = self.size()
        older = [_Generation(_converted(each.states, plan), each.longest, each.expires) for each in self._older]
        newest, overflow = _converted(self.newest, plan), _converted(self.overflow, plan)
        self._moving = None
        # one step to a hit in another thread (see `InMemoryBackend._charger`)
        self.newest, self.plan, self._older, self.overflow = newest, plan, older, overflow
        return before - self.size()

    def find(self, key: str) -> tuple[dict[str, State] | None, State | None]:
        """The dict with the state that counts for `key`, and that state; (None, None) if there is none."""
        if (state := self.newest.get(key)) is not None:
            return self.newest, state
        for generation in self._older:
            if (state := generation.states.get(key)) is not None:
                return generation.states, state
        if self.overflow and (state := self.overflow.get(bucket(key))) is not None:
            return self.overflow, state
        return None, None

    def all_keys(self) -> list[str]:
        """The keys of all generations."""
        return [*self.newest, *chain.from_iterable(generation.states for generation in self._older)]

    def shares(self, key: str) -> bool:
        """Whether `key` is counted in an overflow bucket."""
        return self.find(key)[0] is self.overflow

    def wrote(self, ttl: int, now: int) -> None:
        """Note that a key was added to `newest`."""
        if ttl > self.longest:
            self.longest = ttl
        if self._ends == _FAR:
            # by the longest ttl in the table, since a span from a short ttl would lead to too many generations
            lifetime = max(ttl, *(generation.longest for generation in self._older), 0)
            self.span = max(lifetime // SPANS, _SHORTEST)
            self._ends = now + self.span
            self.due = min(self.due, self._ends)
        if self._moving is not None:
            self._move(*self._moving)

    def leave(self, home: dict[str, State], key: str) -> None:
        """Remove a key from an older generation, since it moves to `newest`."""
        del home[key]
        # from time to time, and after the last key
        if len(home) % _SMALL == 0 and self._moving is None:
            self._thin_out()

    def _thin_out(self) -> None:
        """Drop empty generations, and begin to move the keys of a sparse generation to a smaller dict."""
        self._older = [generation for generation in self._older if generation.states]
        for place, generation in enumerate(self._older):
            if generation.sparse:
                target = _Generation({}, generation.longest, generation.expires)
                self._older.insert(place, target)
                self._moving = generation, target
                return

    def _move(self, source: _Generation, target: _Generation) -> None:
        """Move a few keys, since moving all would make the hit slow."""
        for _ in range(min(_MOVED, len(source.states))):
            key, state = source.states.popitem()
            target.states[key] = state
        if not source.states:
            self._moving = None
            target.room = _room(len(target.states))
            self._thin_out()

    def share(self, key: str, state: State, expires: int) -> None:
        """Write the state of `key` to its overflow bucket, since the store is full."""
        self.overflow[bucket(key)] = state
        self.overflow_until = max(self.overflow_until, expires)
        self.due = min(self.due, self.overflow_until)

    def rotate(self, now: int) -> list[dict[str, State]]:
        """Close the newest generation if its span is over. Returns the generations that have expired."""
        if now >= self._ends:
            self.close(self._ends)
        gone = [generation.states for generation in self._older if generation.expires <= now]
        if self._moving is not None and self._moving[0].expires <= now:
            self._moving = None
        self._older = [each for each in self._older if each.expires > now and (each.states or not each.room)]
        if self.overflow and self.overflow_until <= now:
            self.overflow = {}
        shared = self.overflow_until if self.overflow else _FAR
        self.due = min([self._ends, shared, *(generation.expires for generation in self._older)])
        return gone

    def close(self, ends: int) -> None:
        """Make `newest` an older generation. All of it was written by the time `ends`."""
        generation = _Generation(self.newest, self.longest, ends + self.longest)
        self._older.insert(0, generation)
        self.due = min(self.due, generation.expires)
        self.newest = {}
        self._ends = _FAR
        self.longest = 0

    @property
    def empty(self) -> bool:
        """Whether it has no states."""
        return not (self.newest or self._older or self.overflow)

    def forget(self, key: str) -> int:
        """Forget one key. Returns the number of its states, 0 or 1."""
        self.overflow.pop(bucket(key), None)
        generations = [self.newest, *(generation.states for generation in self._older)]
        return sum(generation.pop(key, None) is not None for generation in generations)

    def size(self) -> int:
        """The number of keys in all generations."""
        return len(self.newest) + sum(len(generation.states) for generation in self._older)


def bucket(key: str) -> str:
    """The overflow bucket of `key`, by its hash. Hashes differ between processes, so clients cannot choose a bucket."""
    return str(hash(key) % _BUCKETS)
