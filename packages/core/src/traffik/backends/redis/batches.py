"""Turns the operations of callers into calls of the script, and replies into their outcomes. Pure, without connection.

An `Entry` is the operations of one caller. A `Batch` is the entries that are sent together, in one call of the script.
On a cluster, an entry of several operations may need a call for its slot. A reply gives each entry its answers, or a
`Redirect` if the server has not carried it out. An entry that may have been carried out is never sent again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

from traffik.backends.redis.discovery import Servers
from traffik.backends.redis.protocol import Command, ErrorReply, error_text, pack, shortened
from traffik.backends.redis.script import SCRIPT, Answer, ErrorAnswer, Operation, answers, arguments, refused
from traffik.backends.redis.settings import Endpoint
from traffik.model.decisions import Decision
from traffik.model.errors import BackendError

__all__ = ["Batch", "Entry", "Outcome", "Redirect", "batch", "outdates", "spoils", "take"]

_AWAY: Final = "ttempted to "
"""Part of each error for a key of another server, or while the cluster is down. The script did not change the key."""

_MOVES: Final = 5
"""How many times one entry may be redirected."""


class Entry:
    """One caller's operations, all on keys of one slot.

    Attributes:
        operations: the operations.
        deadline: its deadline, on the monotonic clock.
        slot: on a cluster, the slot of its keys.
        asking: whether it is sent to a server that is about to own the slot, after ASKING.
        alone: whether it must not share a call with other entries.
        excused: whether a failure was reported while it waited. Its own failure has the same cause, and is not another.
        waiter: where a batcher delivers the outcome.
    """

    __slots__ = ("_moves", "alone", "asking", "deadline", "excused", "operations", "slot", "waiter")

    def __init__(self, operations: Sequence[Operation], deadline: float) -> None:
        self.operations: Sequence[Operation] = operations
        self.deadline: float = deadline
        self.slot: int = 0
        self.asking: bool = False
        self.alone: bool = False
        self.excused: bool = False
        self._moves = 0
        self.waiter: Any = None

    def sent_on(self, why: str) -> BackendError | None:
        """Count a redirect. Returns the error if there were too many."""
        self._moves += 1
        if self._moves <= _MOVES:
            return None
        return BackendError(f"Redis redirected a hit more than {_MOVES} times, the last time with {why!r}")


class Redirect(NamedTuple):
    """The outcome of an entry that the server has not carried out.

    Attributes:
        endpoint: the server to send it to; None for the same one again.
        moved: whether that server now owns the whole slot.
        why: the error of the server.
    """

    endpoint: Endpoint | None
    moved: bool
    why: str

    def seen_from(self, origin: Endpoint | None) -> Endpoint:
        """The server to send it to. A redirect without a host means the host of `origin`."""
        found = self.endpoint or Endpoint("")
        return Endpoint(origin.host, found.port) if not found.host and origin is not None else found


Outcome: TypeAlias = "Sequence[Answer] | Redirect"


class Batch:
    """Entries that are sent together.

    Attributes:
        entries: the entries.
        payload: the bytes to send.
        replies: the number of replies to expect.
        deadline: the latest deadline of an entry.
        late: whether some of the entries have timed out.
    """

    __slots__ = ("_across", "_by_source", "_calls", "deadline", "entries", "late", "payload", "replies")

    def __init__(self, calls: list[list[Entry]], *, by_source: bool, across: Servers | None = None) -> None:
        self._calls = [(call, [operation for entry in call for operation in entry.operations]) for call in calls]
        self._by_source = by_source
        self._across = across  # set if the first call has keys of several slots; notes whether that works
        self.entries: list[Entry] = calls[0] if len(calls) == 1 else [entry for call in calls for entry in call]
        self.deadline: float = max([entry.deadline for entry in self.entries])
        self.late: bool = False
        head = ("EVAL", SCRIPT.source) if by_source else ("EVALSHA", SCRIPT.digest)
        commands: list[Command] = []
        for call, operations in self._calls:
            if call[0].asking:
                commands.append(("ASKING",))
            commands.append((*head, *arguments(operations, across=across is not None)))
            across = None
        self.payload: bytes = pack(commands)
        self.replies: int = len(commands)

    def settle(
        self, replies: Sequence[Any], deliver: Callable[[Entry, Outcome], None]
    ) -> tuple[list[Entry], bool, BackendError | None]:
        """Deliver the outcome of each entry.

        Returns the entries to send to the same server again, whether that needs the source of the script, and an error
        if the server has failed.
        """
        again: list[Entry] = []
        by_source, trouble = False, None
        rest = iter(replies)
        for place, (call, operations) in enumerate(self._calls):
            leave = next(rest) if call[0].asking else None  # the answer to ASKING
            reply = next(rest)
            got = self._read(leave if isinstance(leave, ErrorReply) else reply, call, operations, place == 0)
            trouble = _worse(trouble, got)
            for entry, outcome in zip(call, got, strict=True):
                if type(outcome) is Redirect and outcome.endpoint is None:
                    error = entry.sent_on(outcome.why)
                    if error is None:
                        unknown = outcome.why.startswith("NOSCRIPT")
                        by_source, entry.alone = by_source or unknown, entry.alone or not unknown
                        again.append(entry)
                        continue
                    outcome = [error] * len(entry.operations)  # noqa: PLW2901 - too many redirects are an error
                    trouble = _worse(trouble, [outcome])
                deliver(entry, outcome)
        return again, by_source, trouble

    def _read(self, reply: Any, call: list[Entry], operations: list[Operation], first: bool) -> Sequence[Outcome]:
        """The outcome of each entry of a call, from the reply."""
        if isinstance(reply, ErrorReply):
            meaning = _meaning(error_text(reply), by_source=self._by_source)
            if isinstance(meaning, Redirect):
                return [meaning] * len(call)
            return [[meaning] * len(entry.operations) for entry in call]
        try:
            got = answers(reply, operations)
        except Exception:  # noqa: BLE001 - an unexpected reply can lead to any error
            text = f"Redis answered {shortened(reply)}, which is not a reply of traffik's script"
            got = [ErrorAnswer(text, maybe_executed=True)] * len(operations)
        else:
            if self._across is not None and first:
                return _of_several_slots(got, self._across)
        if len(got) == len(call):
            return [[answer] for answer in got]
        rest = iter(got)
        return [list(islice(rest, len(entry.operations))) for entry in call]


def _of_several_slots(got: list[Answer], servers: Servers) -> list[Outcome]:
    """The outcomes of entries with one operation each. The server refused the script the keys of other servers."""
    found: list[Outcome] = [
        Redirect(None, moved=False, why=str(answer))
        if isinstance(answer, ErrorAnswer) and _AWAY in str(answer)
        else [answer]
        for answer in got
    ]
    servers.across = not all(type(outcome) is Redirect for outcome in found)
    return found


def take(queue: deque[Entry], most: int) -> list[Entry]:
    """The next entries of `queue`, oldest first, with at most `most` operations; at least one entry."""
    count = len(queue)
    if count == 1 or (count <= most and sum([len(entry.operations) for entry in queue]) <= most):
        everything = [*queue]
        queue.clear()
        return everything
    taken: list[Entry] = []
    room = most
    while queue and (room >= len(queue[0].operations) or not taken):
        entry = queue.popleft()
        room -= len(entry.operations)
        taken.append(entry)
    return taken


def batch(entries: list[Entry], servers: Servers, *, by_source: bool) -> Batch:
    """One call for all `entries`; on a cluster, further calls for those that cannot share it.

    Entries with one operation share a call over several slots, in which each is carried out or refused independently.
    An entry with several operations must not be carried out in part. Its call declares the keys, so a server accepts
    all of them or none.
    """
    if not servers.owners or len(entries) == 1:
        return Batch([entries], by_source=by_source)
    together: list[Entry] = []
    calls: dict[object, list[Entry]] = {}
    for entry in entries:
        if entry.alone or entry.asking:
            calls[entry] = [entry]
        elif servers.across and len(entry.operations) == 1:
            together.append(entry)
        else:
            calls.setdefault(entry.slot, []).append(entry)
    across = any(entry.slot != together[0].slot for entry in together)
    ordered = [call for call in (together, *calls.values()) if call]
    return Batch(ordered, by_source=by_source, across=servers if across else None)


def spoils(trouble: BackendError | None) -> bool:
    """Whether to replace the connection after this error: a new one may reach the primary, or log in again."""
    return isinstance(trouble, ErrorAnswer) and trouble.word in {"", "MASTERDOWN", "NOAUTH", "READONLY"}


def outdates(trouble: BackendError | None) -> bool:
    """Whether to ask other nodes of a cluster for the owners after this error: this node may not be one any more."""
    return isinstance(trouble, ErrorAnswer) and trouble.word in {"CLUSTERDOWN", "LOADING", "MASTERDOWN"}


def _worse(trouble: BackendError | None, outcomes: Sequence[Outcome]) -> BackendError | None:
    """The first error so far. One of a single limit gives way to one of the server."""
    for outcome in outcomes:
        for answer in () if type(outcome) is Redirect else outcome:
            if type(answer) is not Decision and isinstance(answer, BackendError):
                trouble = answer if trouble is None or _is_of_one_limit(trouble) else trouble
    return trouble


def _is_of_one_limit(error: BackendError) -> bool:
    return isinstance(error, ErrorAnswer) and error.of_one_limit


def _meaning(text: str, *, by_source: bool) -> BackendError | Redirect:
    """The error or the redirect for the entries of a call, from the text of the server's error."""
    words = text.split()
    word = words[0] if words else ""
    if word in {"MOVED", "ASK"} and len(words) == 3:
        host, _, port = words[2].rpartition(":")
        if port.isdecimal():
            return Redirect(Endpoint(host, int(port)), moved=word == "MOVED", why=text)
    if word == "TRYAGAIN" or (word == "NOSCRIPT" and not by_source):
        return Redirect(None, moved=False, why=text)
    if word == "CROSSSLOT":
        return BackendError(f"this is a node of a cluster ({text}): make the store with a Cluster")
    return refused(text)
