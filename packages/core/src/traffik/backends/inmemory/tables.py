"""How the in-memory store forgets: by generation, so that a key costs no bookkeeping of its own.

The keys of one throttle live in a few dicts. A key moves to the newest when it is written; a generation goes as a whole
once even the last state written to it has outlived its ttl. What has gone is freed a little at every hit, over time,
so a hit costs the same with a hundred keys and a million, and no hit pays for all of them at once. A generation ends
early when its table is full, and what most keys have left moves to a smaller table, a few keys at a time.

Times are µs on the store's clock, and come as arguments. Not safe for threads by itself: the store holds its lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from traffik.strategies import Plan, State

__all__ = ["FULL", "SPANS", "Expired", "KeyTable", "bucket"]

SPANS: Final = 4
"""Generations that a lifetime is divided into: more give memory back sooner, fewer are looked through for a new key."""

FULL: Final = 2**18 * 2 // 3
"""Keys in a generation at most: as many as CPython's table of 2**18 slots has room for, so that the tables of a large
store are full, and none is so large that the hit that makes it grow takes long."""

_SMALL: Final = 1024
"""Room for so many keys is not worth the saving."""
_MOVED: Final = 4
"""Keys that move from a sparse generation to a table of their size with one hit."""
_BUCKETS: Final = 1024
_FAR: Final = 2**63
_SHORTEST: Final = 1000
"""The shortest span of a generation, µs."""
_AT_LEAST: Final = 8
"""Keys freed by one hit at least, while there are any to free."""


class _Generation:
    """States that were written in one span, and only leave it.

    Attributes:
        states: by key.
        longest: the longest ttl among them, µs.
        lapses: the time by which all of them have lapsed.
        room: the keys that the table of `states` has room for; 0 while they move in from another.
    """

    __slots__ = ("lapses", "longest", "room", "states")

    def __init__(self, states: dict[str, State], longest: int, lapses: int) -> None:
        self.states = states
        self.longest = longest
        self.lapses = lapses
        self.room = _room(len(states))

    @property
    def sparse(self) -> bool:
        """Whether a table of half the size would do, and half the size is worth a move."""
        return len(self.states) * 2 <= self.room > _SMALL


def _room(keys: int) -> int:
    """The keys that CPython's table for so many of them has room for: two thirds of a power of two."""
    return (1 << (keys * 3 // 2).bit_length()) * 2 // 3 if keys else 0


class KeyTable:
    """The keys of one throttle, in generations.

    Attributes:
        plan: the one that charged last; those before it were of its family.
        newest: the states written lately.
        longest: the longest ttl written to `newest`, µs.
        due: the time at which to `turn`.
        span: how long the newest generation is open, µs.
        overflow: states shared by the keys that found the store full, by `bucket`.
        overflow_until: the time by which those have lapsed.
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
        self.plan = plan
        self.newest: dict[str, State] = {}
        self.longest = 0
        self.due = _FAR
        self.span = _SHORTEST
        self.overflow: dict[str, State] = {}
        self.overflow_until = 0
        self._ends = _FAR
        self._older: list[_Generation] = []
        self._moving: tuple[_Generation, _Generation] | None = None

    def convert(self, change: Callable[[State], State | None]) -> int:
        """Replace every state by what `change` makes of it; how many keys that leaves without one."""
        tables = [self.newest, *(generation.states for generation in self._older)]
        gone = 0
        for states in (*tables, self.overflow):
            for key, state in tuple(states.items()):
                changed = change(state)
                if changed is not None:
                    states[key] = changed
                else:
                    del states[key]
                    gone += states is not self.overflow
        return gone

    def find(self, key: str) -> tuple[dict[str, State] | None, State | None]:
        """Where an older state that counts for `key` is kept, and that state; None twice if there is none."""
        for generation in self._older:
            if (state := generation.states.get(key)) is not None:
                return generation.states, state
        if self.overflow and (state := self.overflow.get(bucket(key))) is not None:
            return self.overflow, state
        return None, None

    def shares(self, key: str) -> bool:
        """Whether `key` is counted in an overflow bucket."""
        return key not in self.newest and self.find(key)[0] is self.overflow

    def wrote(self, ttl: int, now: int) -> None:
        """Take note of a key that came to `newest`."""
        if ttl > self.longest:
            self.longest = ttl
        if self._ends == _FAR:
            # By the longest lifetime around, not this one alone: spans that are too short would pile up generations.
            lifetime = max(ttl, *(generation.longest for generation in self._older), 0)
            self.span = max(lifetime // SPANS, _SHORTEST)
            self._ends = now + self.span
            self.due = min(self.due, self._ends)
        if self._moving is not None:
            self._move(*self._moving)

    def leave(self, home: dict[str, State], key: str) -> None:
        """Let go of a key that leaves an older generation for `newest`."""
        del home[key]
        # Now and then, and when it was the last.
        if len(home) % _SMALL == 0 and self._moving is None:
            self._thin_out()

    def _thin_out(self) -> None:
        """Drop what is empty, and let the keys left in a sparse generation begin to move to a table of their size."""
        self._older = [generation for generation in self._older if generation.states]
        for place, generation in enumerate(self._older):
            if generation.sparse:
                target = _Generation({}, generation.longest, generation.lapses)
                self._older.insert(place, target)
                self._moving = generation, target
                return

    def _move(self, source: _Generation, target: _Generation) -> None:
        """Move a few keys; a hit is not to pay for all of them."""
        for _ in range(min(_MOVED, len(source.states))):
            key, state = source.states.popitem()
            target.states[key] = state
        if not source.states:
            self._moving = None
            target.room = _room(len(target.states))
            self._thin_out()

    def share(self, key: str, state: State, lapses: int) -> None:
        """Count `key`, for which there is no room, in its overflow bucket."""
        self.overflow[bucket(key)] = state
        self.overflow_until = max(self.overflow_until, lapses)
        self.due = min(self.due, self.overflow_until)

    def turn(self, now: int) -> list[dict[str, State]]:
        """Close the newest generation if its span is over; the generations that have lapsed."""
        if now >= self._ends:
            self.close(self._ends)
        gone = [generation.states for generation in self._older if generation.lapses <= now]
        if self._moving is not None and self._moving[0].lapses <= now:
            self._moving = None
        self._older = [each for each in self._older if each.lapses > now and (each.states or not each.room)]
        if self.overflow and self.overflow_until <= now:
            self.overflow = {}
        shared = self.overflow_until if self.overflow else _FAR
        self.due = min([self._ends, shared, *(generation.lapses for generation in self._older)])
        return gone

    def close(self, ends: int) -> None:
        """Let `newest`, in which everything was written by `ends`, be the first of the older generations."""
        generation = _Generation(self.newest, self.longest, ends + self.longest)
        self._older.insert(0, generation)
        self.due = min(self.due, generation.lapses)
        self.newest = {}
        self._ends = _FAR
        self.longest = 0

    @property
    def empty(self) -> bool:
        """Whether it holds nothing at all."""
        return not (self.newest or self._older or self.overflow)

    def forget(self, key: str) -> int:
        """Forget one key; how many were forgotten."""
        self.overflow.pop(bucket(key), None)
        generations = [self.newest, *(generation.states for generation in self._older)]
        return sum(generation.pop(key, None) is not None for generation in generations)

    def size(self) -> int:
        """The keys in all generations."""
        return len(self.newest) + sum(len(generation.states) for generation in self._older)


class Expired:
    """Generations on their way out, freed in proportion to the time that passes.

    Attributes:
        left: keys not freed yet.
    """

    __slots__ = ("_generations", "_last", "_until", "left")

    def __init__(self) -> None:
        self.left = 0
        self._generations: list[dict[str, State]] = []
        self._last = 0
        self._until = 0

    def add(self, generation: dict[str, State], now: int, span: int) -> None:
        """Free `generation` too, all of it by ``now + span``."""
        self._generations.append(generation)
        self.left += len(generation)
        self._last = now
        self._until = max(self._until, now + span)

    def free(self, now: int) -> None:
        """Free the share that is due by `now`."""
        if now >= self._until or not self.left:
            self._generations.clear()
            self.left = 0
            return
        share = self.left * (now - self._last) // (self._until - self._last) + _AT_LEAST
        self._last = now
        while share > 0 and self._generations:
            generation = self._generations[0]
            if not generation:
                self._generations.pop(0)
                continue
            generation.popitem()
            share -= 1
            self.left -= 1
        if not self.left:
            self._generations.clear()


def bucket(key: str) -> str:
    """The overflow bucket of `key`; it follows from its hash, which differs between processes, so none can aim."""
    return str(hash(key) % _BUCKETS)
