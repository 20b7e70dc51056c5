"""What becomes of a WebSocket whose messages go on being refused: told, held back, closed. Pure, one hit after another.

An episode begins with the first refused hit after an admitted one, and ends with the next admitted one. A hit that
takes nothing (a cost of 0, an exempted client) does not end it: a client could throw it in to be told again. How many
hits an episode has refused is kept in the decision that the connection remembers, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from traffik.model.decisions import ADMITTED, UNAVAILABLE, Decision, PartitionedDecision

__all__ = ["MAX_PAUSE", "REASON", "TRY_AGAIN_LATER", "VIOLATION", "FloodPolicy", "InEpisode", "Reaction", "follow"]

MAX_PAUSE: Final = 20_000_000
"""The longest pause, in µs. Who does not read notices neither that the client has gone nor that the server is to stop;
uvicorn waits 20 seconds for a pong, and those who stop servers 30 for their end.
"""

REASON: Final = "Rate limit exceeded"
"""Why a WebSocket is closed, for its client; a close frame has room for 123 bytes."""

VIOLATION: Final = 1008
"""The close code of a policy violation (RFC 6455, section 7.4.1)."""

TRY_AGAIN_LATER: Final = 1013
"""The close code of a server that cannot serve now (IANA's registry of close codes)."""


class Reaction(NamedTuple):
    """What is to be done about one refused hit.

    Attributes:
        tell: whether the client is sent the refusal.
        close: the code to close with; None to leave it open.
        pause: µs until the next message is read.
    """

    tell: bool
    close: int | None
    pause: int


class InEpisode(PartitionedDecision):
    """A decision as a connection remembers it during an episode."""

    refused: int
    """How many hits the episode has refused so far."""


@dataclass(frozen=True, slots=True)
class FloodPolicy:
    """What becomes of a WebSocket whose messages go on being refused.

    Attributes:
        notify: whether the client is told of ``"every"`` refusal, or ``"once"`` an episode.
        pause: whether a refused hit returns only when its wait is over, so that nothing is read meanwhile and TCP holds
            the client back. For 20 seconds at most, and not at all where no wait would help.
        close_after: refused hits in a row, 1 or more, after which the WebSocket is closed: with code 1008, or with 1013
            where the store is away and the client is not at fault. None never closes.

    Raises:
        TypeError, ValueError: an attribute is none of the above.
    """

    notify: Literal["every", "once"] = "every"
    pause: bool = False
    close_after: int | None = None

    def __post_init__(self) -> None:
        if self.notify not in ("every", "once"):
            raise ValueError(f'notify is "every" or "once", not {self.notify!r}')
        if not isinstance(self.pause, bool):
            raise TypeError(f"pause is True or False, not {self.pause!r}: how long it takes follows from the rate")
        if self.close_after is None:
            return
        if type(self.close_after) is not int:
            raise TypeError(f"close_after is a number of refused hits, or None, not {self.close_after!r}")
        if self.close_after < 1:
            raise ValueError(f"close_after is 1 or more, not {self.close_after}: the first refusal is number 1")

    def reaction(self, decision: Decision) -> Reaction:
        """What is to be done about a refused hit, given as the connection remembers it."""
        refused = decision.refused if isinstance(decision, InEpisode) else 1
        tell = self.notify == "every" or refused == 1
        if self.close_after is not None and refused >= self.close_after:
            code = TRY_AGAIN_LATER if decision.degraded == UNAVAILABLE else VIOLATION
            return Reaction(tell and refused == self.close_after, code, 0)
        pauses = self.pause and not decision.never
        return Reaction(tell, None, min(decision.retry_after, MAX_PAUSE) if pauses else 0)


def follow(before: Decision | None, decision: Decision) -> Decision:
    """`decision` as a connection is to remember it whose decision before was `before`."""
    refused = before.refused if isinstance(before, InEpisode) else 0
    if decision.allowed:
        if refused == 0 or decision is not ADMITTED:
            return decision
    else:
        refused += 1
    remembered = InEpisode.of(decision, decision.partition)
    remembered.refused = refused
    return remembered
