"""The reaction to a WebSocket whose messages keep being refused: notify the client, slow it down, close it. Pure code.

An episode begins with the first refused hit after an admitted one, and ends with the next admitted one. A hit that
consumes nothing (a cost of 0, an exempted client) does not end it, since a client could send such messages to get
notified more often. The number of hits refused in an episode is stored in the connection's most recent decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from traffik.model.decisions import ADMITTED, UNAVAILABLE, Decision, PartitionedDecision

__all__ = ["MAX_PAUSE", "REASON", "TRY_AGAIN_LATER", "VIOLATION", "FloodPolicy", "InEpisode", "Reaction", "follow"]

MAX_PAUSE: Final = 20_000_000
"""The longest pause, in µs. During a pause, the server does not notice a disconnect or a shutdown. uvicorn waits 20
seconds for a pong, and orchestrators such as Kubernetes wait 30 seconds for a shutdown.
"""

REASON: Final = "Rate limit exceeded"
"""The reason in the close frame of a WebSocket, which has room for 123 bytes."""

VIOLATION: Final = 1008
"""The close code of a policy violation (RFC 6455, section 7.4.1)."""

TRY_AGAIN_LATER: Final = 1013
"""The close code of a server that cannot serve now (IANA's registry of WebSocket close codes)."""


class Reaction(NamedTuple):
    """The reaction to one refused hit.

    Attributes:
        tell: whether to send the refusal to the client.
        close: the code to close the WebSocket with; None to leave it open.
        pause: µs to wait before the next message is read.
    """

    tell: bool
    close: int | None
    pause: int


class InEpisode(PartitionedDecision):
    """A decision as it is stored on a connection during an episode."""

    refused: int
    """The number of hits refused in the episode so far."""


@dataclass(frozen=True, slots=True)
class FloodPolicy:
    """How to react to a WebSocket whose messages keep being refused.

    Attributes:
        notify: ``"every"`` to notify the client of each refusal, ``"once"`` only of the first refusal in a row.
        pause: whether a refused hit returns only after its wait. Meanwhile no message is read, so TCP slows the client
            down. A pause is 20 seconds at most. If the cost can never be admitted, there is no pause.
        close_after: the number of refused hits in a row, 1 or more, after which the WebSocket is closed: with code
            1008, or with code 1013 if the store does not answer. None never closes it.

    Raises:
        TypeError, ValueError: an attribute is invalid.
    """

    notify: Literal["every", "once"] = "every"
    pause: bool = False
    close_after: int | None = None

    def __post_init__(self) -> None:
        if self.notify not in ("every", "once"):
            raise ValueError(f'notify is "every" or "once", not {self.notify!r}')
        if not isinstance(self.pause, bool):
            raise TypeError(f"pause is True or False, not {self.pause!r}: the rate sets the length of a pause")
        if self.close_after is None:
            return
        if type(self.close_after) is not int:
            raise TypeError(f"close_after is a whole number of refused hits, or None, not {self.close_after!r}")
        if self.close_after < 1:
            raise ValueError(f"close_after is 1 or more, not {self.close_after}: the first refusal is number 1")

    def reaction(self, decision: Decision) -> Reaction:
        """The reaction to a refused hit.

        Args:
            decision: as it is stored on the connection.
        """
        refused = decision.refused if isinstance(decision, InEpisode) else 1
        tell = self.notify == "every" or refused == 1
        if self.close_after is not None and refused >= self.close_after:
            code = TRY_AGAIN_LATER if decision.degraded == UNAVAILABLE else VIOLATION
            return Reaction(tell and refused == self.close_after, code, 0)
        pauses = self.pause and not decision.never
        return Reaction(tell, None, min(decision.retry_after, MAX_PAUSE) if pauses else 0)


def follow(before: Decision | None, decision: Decision) -> Decision:
    """`decision` as it is to be stored on a connection, where it replaces `before`."""
    refused = before.refused if isinstance(before, InEpisode) else 0
    if decision.allowed:
        if refused == 0 or decision is not ADMITTED:
            return decision
    else:
        refused += 1
    remembered = InEpisode.of(decision, decision.partition)
    remembered.refused = refused
    return remembered
