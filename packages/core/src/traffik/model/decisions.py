"""The results of hits and checks: plain, immutable values.

All times are integers in microseconds, unless a name states another unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from typing import Self

    from traffik.model.rates import Rate

__all__ = [
    "ADMITTED",
    "FORBIDDEN",
    "NEVER",
    "REFUSED",
    "UNAVAILABLE",
    "UNBOUNDED",
    "Decision",
    "PartitionedDecision",
    "SettledDecision",
    "StrategyStat",
]

NEVER: Final = 2**53 - 1
"""The wait, in microseconds, of a cost that can never fit (285 years, longer than every real wait)."""

UNBOUNDED: Final = 2**53 - 1
"""The quota of a limit that is switched off or unlimited (finite, so that it can be sent as JSON)."""

UNAVAILABLE: Final = "unavailable"
"""The `degraded` of a decision that refuses because the store does not answer. The client is not at fault."""

FORBIDDEN: Final = "denied"
"""The `degraded` of a decision that refuses a denied client, regardless of its quota."""


# A named tuple and not a dataclass, since one is made for every hit and a tuple is the fastest to make.
class Decision(NamedTuple):
    """The result of one hit or check. It is true if the hit is admitted.

    Attributes:
        allowed: whether the hit is admitted.
        limit: the capacity, in units of cost. No single hit can take more.
        remaining: the largest cost that the next hit could have now. For a cost that can `never` be admitted the store
            is not asked, and this is the capacity.
        retry_after: µs until this same cost is admitted, if there are no other hits; 0 if admitted, `NEVER` if it
            cannot fit.
        reset_after: µs until the whole quota is available again, if there are no other hits.
        rate: the binding rate: the one with the longest wait or, if all admit, the one with the least remaining.
        degraded: None for an exact decision, or else the reason why it is not exact:

            - ``"overflow"``: the store is full, so the hit was counted in a bucket that several keys share.
            - ``"cached"``: the deny cache refused it, for a larger cost than the one refused before. The wait is long
              enough, and may be longer than necessary.
            - ``"fallback"``: the store does not answer, and a limiter in this process has decided.
            - ``"allow"``: the store does not answer, and the hit is admitted without a limit.
            - ``"unavailable"``: the store does not answer, and the hit is refused.
            - ``"on_error"``: the store does not answer, and the function given as `on_error` has decided.
            - ``"denied"``: the identifier returned `DENIED`, and no store was asked.
            - ``"banned"``: an operator has banned the client for a time, and no store was asked.
    """

    allowed: bool
    limit: int
    remaining: int
    retry_after: int = 0
    reset_after: int = 0
    rate: Rate | None = None
    degraded: str | None = None

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def partition(self) -> bytes:
        """The hashed key of the client, for header fields and the jitter; empty except in `PartitionedDecision`."""
        return b""

    @property
    def never(self) -> bool:
        """Whether the cost is above the capacity, so that waiting does not help."""
        return self.retry_after >= NEVER

    @property
    def wait_ms(self) -> float:
        """`retry_after` in milliseconds, rounded up to whole ones."""
        return float(-(-self.retry_after // 1_000))

    @property
    def wait_seconds(self) -> int:
        """`retry_after` in seconds, rounded up to whole ones."""
        return -(-self.retry_after // 1_000_000)


class PartitionedDecision(Decision):
    """A decision that also knows its client's key. Only throttles whose responses depend on the key make one."""

    _partition: bytes = b""

    @classmethod
    def of(cls, decision: Decision, partition: bytes) -> Self:
        """The same decision with its partition."""
        made = cls._make(decision)
        made._partition = partition
        return made

    @property
    def partition(self) -> bytes:
        """A hash of the local key; see `traffik.responses.options.ResponseOptions`."""
        return self._partition


class SettledDecision(Decision):
    """What is left after units were given back or charged in any case; `retry_after` is the wait for one more unit."""

    _units: int = 0

    @classmethod
    def of(cls, decision: Decision, units: int) -> Self:
        """The same decision, with the units that moved."""
        made = cls._make(decision)
        made._units = units
        return made

    @property
    def units(self) -> int:
        """Units that were charged (above 0) or given back (below 0).

        Fewer than asked for where the limit cannot go so far: at most one limit above its capacity is charged, and
        units that are free again already are not given back once more.
        """
        return self._units


ADMITTED: Final = Decision(allowed=True, limit=UNBOUNDED, remaining=UNBOUNDED)
"""The decision when nothing is counted: a cost of 0, an exempted identity, a disabled throttle, an unlimited rate."""

REFUSED: Final = Decision(allowed=False, limit=0, remaining=0, retry_after=NEVER, degraded=FORBIDDEN)
"""The decision about a denied client."""


class StrategyStat(NamedTuple):
    """The quota of one key, read without consuming any.

    Attributes:
        hits_remaining: the largest cost that a hit could have now.
        wait_ms: milliseconds, rounded up, until at least one unit is free; 0 if one is free now.
        rate: the binding rate.
        key: the partition key in the store.
    """

    hits_remaining: int
    wait_ms: float
    rate: Rate
    key: str
