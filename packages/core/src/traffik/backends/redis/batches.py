"""From what callers wait for to what goes over a connection, and back. Pure: bytes in, bytes out, no connection.

An `Entry` is one caller's operations. Entries that leave together are a `Batch`: one call of the script. On a cluster
too, where an entry of several operations has a call for its own slot. A reply gives each entry its answers, or a
`Redirect`: the server has not carried it out. Nothing that may have been carried out is ever sent again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

from traffik.backends.redis.discovery import Servers
from traffik.backends.redis.protocol import Command, ErrorReply, pack, shortened
from traffik.backends.redis.script import Answer, ErrorAnswer, Operation, answers, arguments, refused, script
from traffik.backends.redis.settings import Endpoint
from traffik.model.decisions import Decision
from traffik.model.errors import BackendError

__all__ = ["Batch", "Entry", "Outcome", "Redirect", "batch", "spoils", "take"]

_AWAY: Final = "ttempted to "
"""Part of every error for a key that is not the server's, or while the cluster is down: nothing was done to the key."""

_MOVES: Final = 5
"""How often one entry may be sent on."""


class Entry:
    """One caller's operations, all on keys of one slot.

    Attributes:
        operations: what is asked.
        deadline: when its time is up, on the monotonic clock.
        slot: on a cluster, the slot of its keys.
        asking: whether it goes to a server that is only about to own the slot.
        alone: whether it may not share a call with other entries.
        waiter: where a batcher delivers the outcome.
    """

    __slots__ = ("_moves", "alone", "asking", "deadline", "operations", "slot", "waiter")

    def __init__(self, operations: Sequence[Operation], deadline: float) -> None:
        self.operations = operations
        self.deadline = deadline
        self.slot = self._moves = 0
        self.asking = self.alone = False
        self.waiter: Any = None

    def sent_on(self, why: str) -> BackendError | None:
        """Count that it is sent on; the error if that was too often."""
        self._moves += 1
        if self._moves <= _MOVES:
            return None
        return BackendError(f"Redis sent a hit on {_MOVES} times, the last time with {why!r}")


class Redirect(NamedTuple):
    """The outcome of an entry that the server has not carried out.

    Attributes:
        endpoint: where to send it; None for the same server once more.
        moved: whether that server owns the whole slot now.
        why: the server's error.
    """

    endpoint: Endpoint | None
    moved: bool
    why: str

    def seen_from(self, origin: Endpoint | None) -> Endpoint:
        """Where to send it. A server leaves out its host where that is the same as of `origin`."""
        found = self.endpoint or Endpoint("")
        return Endpoint(origin.host, found.port) if not found.host and origin is not None else found


Outcome: TypeAlias = "Sequence[Answer] | Redirect"


class Batch:
    """Entries on their way.

    Attributes:
        entries: all of them.
        payload: what to send.
        replies: how many replies will come.
        deadline: the latest of theirs.
        late: whether some of them have been given up.
    """

    __slots__ = ("_across", "_by_source", "_calls", "deadline", "entries", "late", "payload", "replies")

    def __init__(self, calls: list[list[Entry]], *, by_source: bool, across: Servers | None = None) -> None:
        self._calls = [(call, [operation for entry in call for operation in entry.operations]) for call in calls]
        self._by_source = by_source
        self._across = across  # what learns of it, if the first call is about several slots
        self.entries = calls[0] if len(calls) == 1 else [entry for call in calls for entry in call]
        self.deadline = max([entry.deadline for entry in self.entries])
        self.late = False
        source, digest = script()
        head = ("EVAL", source) if by_source else ("EVALSHA", digest)
        commands: list[Command] = []
        for call, operations in self._calls:
            if call[0].asking:
                commands.append(("ASKING",))
            commands.append((*head, *arguments(operations, across=across is not None)))
            across = None
        self.payload = pack(commands)
        self.replies = len(commands)

    def settle(
        self, replies: Sequence[Any], deliver: Callable[[Entry, Outcome], None]
    ) -> tuple[list[Entry], bool, BackendError | None]:
        """Deliver what has become of each entry.

        Returns the entries to send once more to the same server, whether that needs the source of the script, and an
        error that says that the server is not well.
        """
        again: list[Entry] = []
        by_source, trouble = False, None
        rest = iter(replies)
        for place, (call, operations) in enumerate(self._calls):
            leave = next(rest) if call[0].asking else None  # the answer to ASKING
            reply = next(rest)
            got = self._read(leave if isinstance(leave, ErrorReply) else reply, call, operations, place == 0)
            for entry, outcome in zip(call, got, strict=True):
                if type(outcome) is Redirect and outcome.endpoint is None:
                    error = entry.sent_on(outcome.why)
                    if error is None:
                        unknown = outcome.why.startswith("NOSCRIPT")
                        by_source, entry.alone = by_source or unknown, entry.alone or not unknown
                        again.append(entry)
                        continue
                    outcome = [error] * len(entry.operations)  # noqa: PLW2901 - too often is an error
                trouble = trouble or _trouble_in(outcome)
                deliver(entry, outcome)
        return again, by_source, trouble

    def _read(self, reply: Any, call: list[Entry], operations: list[Operation], first: bool) -> Sequence[Outcome]:
        """What a reply means for each entry of a call."""
        if isinstance(reply, ErrorReply):
            meaning = _meaning(str(reply), by_source=self._by_source)
            if isinstance(meaning, Redirect):
                return [meaning] * len(call)
            return [[meaning] * len(entry.operations) for entry in call]
        try:
            got = answers(reply, operations)
        except Exception:  # noqa: BLE001 - there is no end to what a reply that is not ours may be
            text = f"Redis answered {shortened(reply)}, which is no answer to a script of ours"
            got = [ErrorAnswer(text, maybe_executed=True)] * len(operations)
        else:
            if self._across is not None and first:
                return _of_several_slots(got, self._across)
        if len(got) == len(call):
            return [[answer] for answer in got]
        rest = iter(got)
        return [list(islice(rest, len(entry.operations))) for entry in call]


def _of_several_slots(got: list[Answer], servers: Servers) -> list[Outcome]:
    """The outcomes of entries of one operation each: the script was refused the keys that are not the server's."""
    found: list[Outcome] = [
        Redirect(None, moved=False, why=str(answer))
        if isinstance(answer, ErrorAnswer) and _AWAY in str(answer)
        else [answer]
        for answer in got
    ]
    servers.across = not all(type(outcome) is Redirect for outcome in found)
    return found


def take(queue: deque[Entry], most: int) -> list[Entry]:
    """The next entries of `queue`, oldest first. They have at most `most` operations, or the first one has more."""
    if len(queue) == 1:
        return [queue.popleft()]
    taken: list[Entry] = []
    room = most
    while queue and (room >= len(queue[0].operations) or not taken):
        entry = queue.popleft()
        room -= len(entry.operations)
        taken.append(entry)
    return taken


def batch(entries: list[Entry], servers: Servers, *, by_source: bool) -> Batch:
    """One call for all `entries`; on a cluster, more for those that cannot share it.

    Entries of one operation share a call over several slots, in which each is carried out or refused by itself. One of
    several operations must not be carried out in part. It declares its keys, so a server takes all of them or none.
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
    """Whether a connection is no good after such an answer: another one may lead to the primary, or log in anew."""
    return isinstance(trouble, ErrorAnswer) and trouble.word in {"", "NOAUTH", "READONLY"}


def _trouble_in(outcome: Outcome) -> BackendError | None:
    """The first error in an outcome that says that a server is not well; None if there is none."""
    for answer in () if type(outcome) is Redirect else outcome:
        # Of the wrong type is a single key, which belongs to another program.
        if type(answer) is not Decision and isinstance(answer, BackendError) and not _is_wrong_type(answer):
            return answer
    return None


def _is_wrong_type(error: BackendError) -> bool:
    return isinstance(error, ErrorAnswer) and error.word == "WRONGTYPE"


def _meaning(text: str, *, by_source: bool) -> BackendError | Redirect:
    """What an error means for the entries of a call."""
    words = text.split()
    word = words[0] if words else ""
    if word in {"MOVED", "ASK"} and len(words) == 3:
        host, _, port = words[2].rpartition(":")
        if port.isdecimal():
            return Redirect(Endpoint(host, int(port)), moved=word == "MOVED", why=text)
    if word == "TRYAGAIN" or (word == "NOSCRIPT" and not by_source):
        return Redirect(None, moved=False, why=text)
    if word == "CROSSSLOT":
        return BackendError(f"this is a node of a cluster ({text}): give the store a Cluster")
    return refused(text)
