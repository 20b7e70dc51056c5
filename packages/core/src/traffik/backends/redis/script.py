"""The one script of the store, what it is asked, and what its answers mean. Pure: bytes and values, no connection.

Each question is an `Operation` on one key; many go into one call. The script is `script.lua` behind the Lua twins of
the strategies. It runs on the server's own clock.
"""

from __future__ import annotations

from functools import cache, lru_cache
from hashlib import sha1
from importlib import resources
from itertools import islice
from json import dumps
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from traffik.backends.postings import FORESEE, HOLD, SETTLE, TAKE_UP_TO
from traffik.backends.redis.states import tag_of
from traffik.model.decisions import Decision
from traffik.model.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from traffik.strategies import Plan

__all__ = [
    "CHARGE",
    "LAST",
    "PEEK",
    "POSTINGS",
    "PROBE",
    "READ",
    "SWAP",
    "Answer",
    "ErrorAnswer",
    "Operation",
    "Stored",
    "Told",
    "answers",
    "arguments",
    "refused",
    "script",
]

CHARGE: Final = 0
"""Decide and keep what that changes."""
PEEK: Final = 1
"""Decide, and change nothing."""
PROBE: Final = 2
"""Say what is left and how long the wait for one unit is."""
READ: Final = 3
"""Answer the stored value and the time."""
SWAP: Final = 4
"""Store a value if the one there is as expected."""
POSTINGS: Final = 5
"""Add it to a kind of `traffik.backends.postings` for the operation of that kind."""
LAST: Final = 16
"""Added to the last of the takes that are decided together."""

_PIECES: Final = ("exact", "sliding_window", "sliding_counter", "fixed_window", "meter", "plans")
_FAILED: Final = -1
_TELLING: Final = frozenset(POSTINGS + kind for kind in (HOLD, SETTLE, TAKE_UP_TO, FORESEE))

_new = tuple.__new__


class Operation(NamedTuple):
    """One question about one key.

    Attributes:
        key: the whole key.
        kind: one of those above.
        plan: by which to decide; None for READ and SWAP.
        cost: units of quota.
        texts: what a SWAP takes: the value expected (empty for none), the new one, its time to live in ms. Of a SETTLE
            the receipt, of a FORESEE the costs: integers with commas between them.
    """

    key: str
    kind: int
    plan: Plan | None = None
    cost: int = 0
    texts: tuple[str | bytes, ...] = ()


class Stored(NamedTuple):
    """The answer to a READ: the value, if there is one, and the server's time in µs."""

    value: bytes | None
    now: int


class Told(NamedTuple):
    """The answer to a HOLD, a SETTLE, a TAKE_UP_TO or a FORESEE: the decision, and the integers that come with it."""

    decision: Decision
    numbers: tuple[int, ...]


Answer: TypeAlias = "Decision | Told | Stored | bool | BackendError"
"""What one order is answered with: a decision, what was read, whether it was swapped, or what went wrong."""


class ErrorAnswer(BackendError):
    """A server has answered with an error, or with something that is no answer.

    Attributes:
        word: the first word of the error, by which its kind is known; empty for no answer.
    """

    word: str = ""


@cache
def script() -> tuple[str, str]:
    """The source and its SHA-1, by which a server knows it."""
    strategies = resources.files("traffik.strategies")
    pieces = [strategies.joinpath(f"{name}.lua").read_text("utf-8") for name in _PIECES]
    pieces.append(resources.files("traffik.backends.redis").joinpath("script.lua").read_text("utf-8"))
    source = "\n".join(pieces)
    return source, sha1(source.encode(), usedforsecurity=False).hexdigest()


def arguments(operations: Sequence[Operation], *, across: bool = False) -> list[str | bytes]:
    """The arguments of a call: how many keys, the keys, and what is asked of each.

    Args:
        operations: what is asked.
        across: the keys are of several slots of a cluster. A server takes no call that declares such; they go in as
            data, and the script is refused each that is not this server's.
    """
    if len(operations) == 1:
        # So are all calls of a single caller, and of a cluster where nearly every key has a slot of its own.
        key, kind, plan, cost, more = operations[0]
        return ["1", key, f"[[{_in_json(plan)}],[1,{cost},{kind}]]", *more]
    places: dict[Plan | None, int] = {}
    asked: list[str] = []
    texts: list[str | bytes] = []
    for _, kind, plan, cost, more in operations:
        place = places.get(plan)
        if place is None:
            place = places[plan] = len(places) + 1
        asked.append(f"{place},{cost},{kind}")
        if more:
            texts += more
    plans = ",".join(map(_in_json, places))
    keys = [operation[0] for operation in operations]
    if across:
        # A whole key is of printable ASCII without quotes, so it is text of JSON as it is.
        listed = '","'.join(keys)
        return ["0", f'[[{plans}],[{",".join(asked)}],["{listed}"]]', *texts]
    return [str(len(operations)), *keys, f"[[{plans}],[{','.join(asked)}]]", *texts]


def answers(reply: list[Any], operations: Sequence[Operation]) -> list[Answer]:
    """What the script has answered to each operation."""
    length = 1 + 4 * len(operations)
    now, numbers, texts = reply[0], islice(reply, 1, length), islice(reply, length, None)
    found: list[Answer] = []
    # Four numbers an operation; taken from one iterator four times, which is the quickest way to group them.
    rows = zip(operations, numbers, numbers, numbers, numbers, strict=True)
    for (_, kind, plan, _, _), status, remaining, retry_after, reset_after in rows:
        if status == _FAILED:
            found.append(refused(next(texts).decode("utf-8", "replace")))
        elif plan is not None:
            limit, rate = plan.bounds[(status >> 1) - 1]
            values = (status & 1 == 1, limit, remaining, retry_after, reset_after, rate, None)
            decision = _new(Decision, values)
            found.append(Told(decision, _integers(next(texts))) if kind & ~LAST in _TELLING else decision)
        else:
            found.append(_plain(kind, status, now, texts))
    return found


def _plain(kind: int, status: int, now: int, texts: Iterator[bytes]) -> Answer:
    if kind == SWAP:
        return status == 1
    return Stored(next(texts) if status else None, now)


def _integers(text: bytes) -> tuple[int, ...]:
    return tuple(map(int, text.split(b","))) if text else ()


def refused(text: str) -> ErrorAnswer:
    """What an error means that a server has answered with."""
    word = text.partition(" ")[0]
    # Most are found before anything is carried out; that of a script that breaks off is called no more than ERR.
    error = ErrorAnswer(f"Redis answered {text!r}", maybe_executed=word == "ERR")
    error.word = word
    return error


@lru_cache(maxsize=4096)
def _in_json(plan: Plan | None) -> str:
    if plan is None:
        return "0"
    rates = [[twin.name, twin.numbers] for twin in plan.twins or ()]
    return dumps([tag_of(plan), rates, plan.several], separators=(",", ":"))
