"""From what callers wait for to what goes over a connection, and back. Pure: bytes in, bytes out, no connection.

An `Entry` is one caller's orders. Entries that leave together are a `Batch`: one call of the script, on a cluster too,
where an entry of several orders has a call of its own slot. A reply settles each entry with answers, an error, or a
`Turn`: it has not been carried out here and goes on elsewhere, or once more with the script's source. Nothing that may
have been carried out is ever sent again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from traffik.backends.redis.script import Answer, ErrorAnswer, Order, answers, arguments, refused, script
from traffik.backends.redis.settings import Endpoint
from traffik.backends.redis.wire import Command, ErrorReply, pack, shortened
from traffik.model.errors import BackendError

if TYPE_CHECKING:
    from traffik.backends.redis.topology import Topology

__all__ = ["MOVES", "Batch", "Entry", "Outcome", "Turn", "batch", "spoils", "take", "trouble_in"]

_AWAY: Final = "ttempted to "
"""In what a script is told of a key that is not the server's, or while the cluster is down: nothing was done to it."""

MOVES: Final = 5
"""How often one entry may be sent elsewhere before it has failed."""


class Entry:
    """One caller's orders, all of one slot.

    Attributes:
        orders: what is asked.
        deadline: when its time is up, on the clock of whoever sends it.
        waiter: where its outcome is delivered; whoever sends it knows its kind.
        slot: on a cluster, the slot of its keys.
        asking: whether it goes to a server that is only about to own the slot.
        alone: whether it may not share a call with other entries.
        moves: how often it has been sent elsewhere.
    """

    __slots__ = ("alone", "asking", "deadline", "moves", "orders", "slot", "waiter")

    def __init__(self, orders: Sequence[Order], deadline: float, waiter: Any, slot: int = 0) -> None:
        self.orders = orders
        self.deadline = deadline
        self.waiter = waiter
        self.slot = slot
        self.asking = self.alone = False
        self.moves = 0


class Turn(NamedTuple):
    """The outcome of an entry that has not been carried out here.

    Attributes:
        endpoint: where to go on; None for where it was, once more.
        moved: whether all of its slot has moved there.
        why: what the server said.
    """

    endpoint: Endpoint | None
    moved: bool
    why: str

    def beside(self, origin: Endpoint | None) -> Endpoint:
        """Where to go on from `origin`: a server may leave out its host where it is the same."""
        found = self.endpoint or Endpoint("")
        return Endpoint(origin.host, found.port) if not found.host and origin is not None else found


Outcome: TypeAlias = "list[Answer] | BackendError | Turn"


class Batch:
    """Entries on their way.

    Attributes:
        entries: all of them.
        payload: what to send.
        replies: how many replies will come.
        deadline: the latest of theirs.
        late: whether some of them have been given up.
        foreign: whether a call about several slots has found none of them where it went.
    """

    __slots__ = ("_across", "_by_source", "_calls", "deadline", "entries", "foreign", "late", "payload", "replies")

    def __init__(self, calls: list[list[Entry]], *, by_source: bool, across: bool = False) -> None:
        self._calls = [(call, [order for entry in call for order in entry.orders]) for call in calls]
        self._by_source = by_source
        self._across = across  # the first of them is
        self.entries = calls[0] if len(calls) == 1 else [entry for call in calls for entry in call]
        self.deadline = max([entry.deadline for entry in self.entries])
        self.late = self.foreign = False
        source, digest = script()
        head = ("EVAL", source) if by_source else ("EVALSHA", digest)
        commands: list[Command] = []
        for call, orders in self._calls:
            if call[0].asking:
                commands.append(("ASKING",))
            commands.append((*head, *arguments(orders, across=across)))
            across = False
        self.payload = pack(commands)
        self.replies = len(commands)

    def settle(self, replies: Sequence[Any]) -> list[tuple[Entry, Outcome]]:
        """What has become of each entry."""
        found: list[tuple[Entry, Outcome]] = []
        rest = iter(replies)
        for call, orders in self._calls:
            leave = next(rest) if call[0].asking else None  # what ASKING was answered with
            reply = next(rest)
            found += self._settled(call, orders, leave if isinstance(leave, ErrorReply) else reply)
        return found

    def _settled(self, call: list[Entry], orders: list[Order], reply: Any) -> list[tuple[Entry, Outcome]]:
        if isinstance(reply, ErrorReply):
            outcome = _meaning(str(reply), by_source=self._by_source)
            return [(entry, outcome) for entry in call]
        try:
            got = answers(reply, orders)
        except Exception:  # noqa: BLE001 - there is no end to what a reply that is not ours may be
            text = f"Redis answered {shortened(reply)}, which is no answer to a script of ours"
            error = ErrorAnswer(text, maybe_executed=True)
            return [(entry, error) for entry in call]
        if self._across and call is self._calls[0][0]:
            return self._of_several_slots(call, got)
        if len(got) == len(call):
            return [(entry, [answer]) for entry, answer in zip(call, got, strict=True)]
        rest = iter(got)
        return [(entry, list(islice(rest, len(entry.orders)))) for entry in call]

    def _of_several_slots(self, call: list[Entry], got: list[Answer]) -> list[tuple[Entry, Outcome]]:
        """What has become of entries of one order each: the script was refused the keys that are not the server's."""
        found: list[tuple[Entry, Outcome]] = []
        for entry, answer in zip(call, got, strict=True):
            away = isinstance(answer, ErrorAnswer) and _AWAY in str(answer)
            found.append((entry, Turn(None, moved=False, why=str(answer)) if away else [answer]))
        self.foreign = all(isinstance(outcome, Turn) for _, outcome in found)
        return found


def take(queue: deque[Entry], most: int) -> list[Entry]:
    """The next entries of `queue`, oldest first, with at most `most` orders between them unless the first has more."""
    if len(queue) == 1:
        return [queue.popleft()]
    taken: list[Entry] = []
    room = most
    while queue and (room >= len(queue[0].orders) or not taken):
        entry = queue.popleft()
        room -= len(entry.orders)
        taken.append(entry)
    return taken


def batch(entries: list[Entry], topology: Topology | None, *, by_source: bool) -> Batch:
    """One call for all `entries`; with a topology, more for those that cannot share it.

    Entries of one order share a call over several slots, in which each is carried out or refused by itself. One of
    several orders must not be carried out in part; it declares its keys, so that a server takes all of them or none.
    """
    if topology is None or len(entries) == 1:
        return Batch([entries], by_source=by_source)
    together: list[Entry] = []
    calls: dict[object, list[Entry]] = {}
    for entry in entries:
        if entry.alone or entry.asking:
            calls[entry] = [entry]
        elif topology.across and len(entry.orders) == 1:
            together.append(entry)
        else:
            calls.setdefault(entry.slot, []).append(entry)
    rest = list(calls.values())
    if not together:
        return Batch(rest, by_source=by_source)
    across = any(entry.slot != together[0].slot for entry in together)
    return Batch([together, *rest], by_source=by_source, across=across)


def trouble_in(outcome: Outcome) -> BackendError | None:
    """The first error in an outcome that says that a server is not well; None if there is none."""
    if isinstance(outcome, list):
        for answer in outcome:
            # Of the wrong type is a single key, which is somebody else's.
            if isinstance(answer, BackendError) and getattr(answer, "word", "") != "WRONGTYPE":
                return answer
        return None
    return outcome if isinstance(outcome, BackendError) else None


def spoils(trouble: BackendError | None) -> bool:
    """Whether a connection is no good after such an answer: another one may lead to the primary, or log in anew."""
    return isinstance(trouble, ErrorAnswer) and trouble.word in {"", "NOAUTH", "READONLY"}


def _meaning(text: str, *, by_source: bool) -> BackendError | Turn:
    """What an error means for the entries of a call."""
    words = text.split()
    word = words[0] if words else ""
    if word == "NOSCRIPT" and not by_source:
        return Turn(None, moved=False, why=text)
    if word in {"MOVED", "ASK"} and len(words) == 3:
        host, _, port = words[2].rpartition(":")
        if port.isdecimal():
            return Turn(Endpoint(host, int(port)), moved=word == "MOVED", why=text)
    if word == "TRYAGAIN":
        return Turn(None, moved=False, why=text)
    if word == "CROSSSLOT":
        return BackendError(f"this is a node of a cluster ({text}): give the store a Cluster")
    return refused(text)
