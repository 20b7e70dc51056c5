"""The script of the store, its arguments and its replies: bytes and values, no connection.

An `Operation` is about one key. One call has many of them. The script is the Lua twins of the strategies followed by
`script.lua`. It uses the clock of the server.
"""

from __future__ import annotations

import time
from functools import lru_cache
from hashlib import sha1
from importlib import resources
from itertools import groupby, islice
from json import dumps
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from traffik.backends.postings import FORESEE, HOLD, SETTLE, TAKE_UP_TO
from traffik.backends.redis.states import rates_text, tag_of, tag_of_several
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
    "SCRIPT",
    "SWAP",
    "Answer",
    "ErrorAnswer",
    "Operation",
    "Script",
    "Stored",
    "Told",
    "answers",
    "arguments",
    "refused",
]

CHARGE: Final = 0
"""Decide, and write the new state."""
PEEK: Final = 1
"""Decide, and change nothing."""
PROBE: Final = 2
"""Return the remaining quota and the wait for one unit."""
READ: Final = 3
"""Return the stored value and the time."""
SWAP: Final = 4
"""Write a value if the stored one is as expected."""
POSTINGS: Final = 5
"""Added to a kind of `traffik.backends.postings`: the operation of that kind."""
LAST: Final = 16
"""Added to the kind of the last take of those that are decided together."""

_PIECES: Final = (
    "exact",
    "sliding_window",
    "sliding_counter",
    "fixed_window",
    "calendar_window",
    "meter",
    "turns",
    "plans",
    "settling",
)
_FAILED: Final = -1
_TELLING: Final = frozenset(POSTINGS + kind for kind in (HOLD, HOLD + LAST, SETTLE, TAKE_UP_TO, FORESEE))
_ALIKE: Final = itemgetter(1, 2, 3, 4)
"""All of an operation but its key."""

_new = tuple.__new__


class Operation(NamedTuple):
    """One operation on one key.

    Attributes:
        key: the key in the server.
        kind: one of those above.
        plan: the plan to decide by; None for READ and SWAP.
        cost: units of quota.
        texts: for a SWAP: the expected value (empty for none), the new value, and its ttl in ms. For a SETTLE the
            receipts, for a FORESEE the costs: integers with commas between them. Each receipt ends with a semicolon.
    """

    key: str
    kind: int
    plan: Plan | None = None
    cost: int = 0
    texts: tuple[str | bytes, ...] = ()


class Stored(NamedTuple):
    """The answer to a READ: the value, None if there is none, and the server's time in µs."""

    value: bytes | None
    now: int


class Told(NamedTuple):
    """The answer to a HOLD, a SETTLE, a TAKE_UP_TO or a FORESEE: a decision and further integers.

    Attributes:
        decision: the decision.
        numbers: the integers; for a HOLD the receipts, each a tuple of integers.
    """

    decision: Decision
    numbers: tuple[Any, ...]


Answer: TypeAlias = "Decision | Told | Stored | bool | BackendError"
"""The answer to one operation: a decision, the value read, whether it was swapped, or an error."""


class ErrorAnswer(BackendError):
    """A server has replied with an error, or with an invalid reply.

    Attributes:
        word: the first word of the error, which tells its kind; empty for an invalid reply.
    """

    word: str = ""

    @property
    def of_one_limit(self) -> bool:
        """Whether the server works otherwise: the key belongs to another program, or the clocks differ by a day."""
        return self.word in {"WRONGTYPE", "CLOCK"}


class Script(NamedTuple):
    """The script: its source, and its SHA-1 for EVALSHA."""

    source: str
    digest: str

    @classmethod
    def of(cls, source: str) -> Script:
        return cls(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def _read() -> str:
    strategies = resources.files("traffik.strategies")
    pieces = [strategies.joinpath(f"{name}.lua").read_text("utf-8") for name in _PIECES]
    pieces.append(resources.files("traffik.backends.redis").joinpath("script.lua").read_text("utf-8"))
    return "\n".join(pieces)


# Read with the module: reading imports modules, and a signal handler that hits may interrupt a first hit.
SCRIPT: Final = Script.of(_read())
"""The script that every server is asked to run."""


def arguments(operations: Sequence[Operation], *, across: bool = False) -> list[str | bytes]:
    """The arguments of a call: the number of keys, the keys, and the operations on them.

    Args:
        operations: the operations.
        across: whether the keys are of several slots of a cluster. A server rejects calls that declare such keys. So
            they are passed as data, and the server refuses the script each key of another server.
    """
    if len(operations) == 1:
        # the usual case with a single caller, and on a cluster, where nearly every key has its own slot
        key, kind, plan, cost, more = operations[0]
        return ["1", key, f"[[{_in_json(plan, _ahead(kind, plan, more))}],[1,{cost},{kind},1]]", *more]
    plans: dict[str, int] = {}
    known: dict[tuple[Any, ...], str] = {}
    asked: list[str] = []
    texts: list[str | bytes] = []
    for alike, run in groupby(operations, _ALIKE):
        text = known.get(alike)
        if text is None:
            kind, plan, cost, more = alike
            place = plans.setdefault(_in_json(plan, _ahead(kind, plan, more)), len(plans) + 1)
            text = known[alike] = f"{place},{cost},{kind}"
        count = len([*run])
        asked.append(f"{text},{count}")
        if alike[3]:
            texts += alike[3] * count
    listed = ",".join(plans)
    keys = [operation[0] for operation in operations]
    if across:
        # keys are printable ASCII without quotes, so they need no escaping in JSON
        names = '","'.join(keys)
        return ["0", f'[[{listed}],[{",".join(asked)}],["{names}"]]', *texts]
    return [str(len(operations)), *keys, f"[[{listed}],[{','.join(asked)}]]", *texts]


def answers(reply: list[Any], operations: Sequence[Operation]) -> list[Answer]:
    """The answer to each operation, from the reply of the script."""
    length = 1 + 4 * len(operations)
    now, numbers, texts = reply[0], islice(reply, 1, length), islice(reply, length, None)
    found: list[Answer] = []
    # Four numbers for each operation. Zipping one iterator four times is the fastest way to group them.
    rows = zip(operations, numbers, numbers, numbers, numbers, strict=True)
    for (_, kind, plan, _, _), status, remaining, retry_after, reset_after in rows:
        if status == _FAILED:
            found.append(refused(next(texts).decode("utf-8", "replace")))
        elif plan is not None:
            limit, rate = plan.bounds[(status >> 1) - 1]
            decision = _new(Decision, (status & 1 == 1, limit, remaining, retry_after, reset_after, rate, None))
            found.append(_telling(kind, decision, next(texts)) if kind in _TELLING else decision)
        else:
            found.append(_plain(kind, status, now, texts))
    return found


def _telling(kind: int, decision: Decision, text: bytes) -> Told:
    if kind & ~LAST == POSTINGS + HOLD:
        return Told(decision, tuple(map(_integers, text.split(b";")[:-1])))
    return Told(decision, _integers(text))


def _plain(kind: int, status: int, now: int, texts: Iterator[bytes]) -> Answer:
    if kind == SWAP:
        return status == 1
    return Stored(next(texts) if status else None, now)


def _integers(text: bytes) -> tuple[int, ...]:
    return tuple(map(int, text.split(b","))) if text else ()


def refused(text: str) -> ErrorAnswer:
    """The error for the text of a server's error."""
    word = text.partition(" ")[0]
    # most errors come before anything is carried out; only a script that fails midway has an error that begins with ERR
    error = ErrorAnswer(f"Redis answered {text!r}", maybe_executed=word == "ERR")
    error.word = word
    return error


def _ahead(kind: int, plan: Plan | None, more: tuple[str | bytes, ...]) -> int:
    """The windows of the calendar from now on that an operation needs: to foresee costs, as many as they may take."""
    if kind != POSTINGS + FORESEE or plan is None or not plan.calendar:
        return _AHEAD
    shortest = min(rate.period for rate in plan.rates if rate.calendar)
    each = 2 + sum(rate.period // shortest for rate in plan.rates)
    return _AHEAD + min(each * (str(more[0]).count(",") + 1), _FARTHEST)


def _in_json(plan: Plan | None, ahead: int) -> str:
    """A plan as the script reads it. That of a calendar has the windows around now."""
    if plan is None or not plan.calendar:
        return _undated(plan)
    now = time.time_ns() // 1000
    if ahead != _AHEAD:
        return _written(plan, [each.calendar.around(now, ahead) if each.calendar else () for each in plan.rates])
    since, until, text = _dated.get(plan, (0, 0, ""))
    if not since <= now < until:
        windows = [each.calendar.around(now, ahead) if each.calendar else () for each in plan.rates]
        since = max(starts[1] for starts in windows if starts)
        until = min(starts[2] for starts in windows if starts)
        text = _written(plan, windows)
        if len(_dated) >= _KEPT:
            _dated.clear()
        _dated[plan] = since, until, text
    return text


_AHEAD: Final = 3
_FARTHEST: Final = 1_000
"""The most further windows for foreseeing. Later ones are taken to be as long as the longest of their unit."""

_KEPT: Final = 4096
"""The most plans whose text is kept."""

_dated: Final[dict[Plan, tuple[int, int, str]]] = {}
"""For plans of the calendar: the time from which and until which the windows in a text are those around now."""


@lru_cache(maxsize=_KEPT)
def _undated(plan: Plan | None) -> str:
    return "0" if plan is None else _written(plan, [()] * len(plan.rates))


def _written(plan: Plan, windows: Sequence[tuple[int, ...]]) -> str:
    twins = zip(plan.twins or (), windows, strict=False)
    rates = [[twin.name, (*twin.numbers, *starts)] for twin, starts in twins]
    told = [tag_of(plan), rates, plan.several, rates_text(plan), tag_of_several(plan), plan.calendar]
    return dumps(told, separators=(",", ":"))
