"""What a limiter answers: plain, immutable values.

Decides nothing. Every time in here is an integer of microseconds; a name that leaves in another unit says so.
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
"""The wait, in microseconds, of a cost that can never fit (285 years: longer than any wait that ends, yet finite)."""

UNBOUNDED: Final = 2**53 - 1
"""The quota of a limit that is switched off or unlimited (finite, so that it can be sent as JSON)."""

UNAVAILABLE: Final = "unavailable"
"""Why a decision refuses that nobody could make: the store is away. The client is not at fault."""

FORBIDDEN: Final = "denied"
"""Why a decision refuses whatever the quota is: the client is not to be served."""


# A named tuple rather than a dataclass: one is made for every hit, and it is the cheapest immutable value to make.
class Decision(NamedTuple):
    """The answer to one hit or check. True in a boolean context when the hit is admitted.

    Attributes:
        allowed: whether the hit is admitted.
        limit: the capacity, in units of cost: no single hit can take more.
        remaining: the largest cost that a next hit would be admitted with right now. If this one can `never` be
            admitted, the store is not asked, and it is the capacity.
        retry_after: µs until this same cost is admitted if nobody else hits; 0 if admitted, `NEVER` if it cannot fit.
        reset_after: µs until the quota is whole again if nobody hits.
        rate: the rate that binds: the one that refuses longest or, if all admit, that has the least remaining.
        degraded: None for an exact decision, else why it is not. ``"overflow"``: counted in a shared bucket, since the
            store is full. ``"cached"``: refused by the deny cache for a larger cost than the one refused before, so the
            wait is enough but may be too long. ``"fallback"``, ``"allow"`` or ``"unavailable"``: the store does not
            answer, and the decision is that of a limiter in this process, of nobody, or that there can be none.
            ``"on_error"``: the store does not answer, and a function given as `on_error` has decided. ``"denied"``: the
            identifier has answered `DENIED`, and nobody was asked.
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
        """What stands for the client's key in what goes out; empty where nothing says it (`PartitionedDecision`)."""
        return b""

    @property
    def never(self) -> bool:
        """Whether this cost is above the capacity, so that no waiting will help."""
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
    """A decision that also knows whose it is; made only for throttles whose answers depend on that."""

    _partition: bytes = b""

    @classmethod
    def of(cls, decision: Decision, partition: bytes) -> Self:
        """The same decision, knowing its partition."""
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
"""The decision on a client that is denied."""


class StrategyStat(NamedTuple):
    """The quota of one key, read without touching it.

    Attributes:
        hits_remaining: the largest cost that a hit would be admitted with now.
        wait_ms: milliseconds, rounded up, until at least one unit is free; 0 if one is.
        rate: the rate that binds.
        key: the partition key in the store.
    """

    hits_remaining: int
    wait_ms: float
    rate: Rate
    key: str
