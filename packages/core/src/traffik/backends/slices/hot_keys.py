"""The slices of one key in this process, and how large the next one is. Reads no clock: times are arguments, in µs.

A key that is hit often becomes a hot key. Its first slice is small. The next is twice as large if the last one was
spent before half its life was over, and only as large as the spent part if it ended unspent. A slice is at most a
sixteenth of the quota that is left in the store, so slices become smaller as a limit comes to its end, and its last
units are taken one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from traffik.backends.postings import SETTLE, Posting

if TYPE_CHECKING:
    from traffik.backends.postings import LimitAccount
    from traffik.model.decisions import Decision
    from traffik.strategies import Receipt

__all__ = ["HotKey", "Slice"]

_FIRST: Final = 4
"""The units of the first slice of a key."""

_PART_OF_REST: Final = 16
"""A slice is at most this part of the quota that is left in the store."""


class Slice:
    """Units of one key that this process took at once.

    Attributes:
        posting: gives all of them back.
        left: the units that have not been spent.
        until: when they can no longer be spent.
        low: with this many left it is time for the next slice; -1 once that has been tried.
    """

    __slots__ = ("left", "low", "posting", "until")

    def __init__(
        self, account: LimitAccount, key: str, units: int, receipt: tuple[Receipt, ...] | None, until: int
    ) -> None:
        self.posting = Posting(SETTLE, account, key, -units, receipt)
        self.left = units
        self.until = until
        self.low = units // 4

    @property
    def spent(self) -> int:
        """The units that have been spent, or given back."""
        return -self.posting.units - self.left

    def give_back(self) -> Posting:
        """The posting that gives back the units that are left. From now on they cannot be spent."""
        left, self.left = self.left, 0
        return self.posting._replace(units=-left)


class HotKey:
    """The slices of one key. Each method is called under a lock.

    Attributes:
        slices: those that may have units left, the oldest first: two while the last units of one are spent.
        size: the units that the next slice should have.
        beyond: the quota left after the first slice: in the store, as of its last answer, and in the second slice.
        reset_at: when the whole quota would be available again, as of the last answer.
        refilling: whether a slice is being taken.
        taken_at: when the last slice was taken; 0 before the first.
    """

    __slots__ = ("_rest", "beyond", "refilling", "reset_at", "size", "slices", "taken_at")

    def __init__(self) -> None:
        self.slices: list[Slice] = []
        self.size = _FIRST
        self._rest = self.beyond = self.reset_at = self.taken_at = 0
        self.refilling = False

    def note(self, decision: Decision, now: int) -> None:
        """Note the quota that is left in the store, as it answered to a question asked at `now`."""
        self._rest = self.beyond = decision.remaining
        self.beyond += sum(each.left for each in self.slices[1:])
        self.reset_at = now + decision.reset_after

    def add(self, taken: Slice, decision: Decision, now: int) -> None:
        """Add a slice that was asked for at `now`."""
        self.slices.append(taken)
        self.taken_at = now
        self.note(decision, now)

    def drop(self, now: int) -> None:
        """Drop the slices that are spent or have ended."""
        for each in self.slices:
            if each.left and now >= each.until:
                self.size = min(self.size, each.spent)
        self.slices = [each for each in self.slices if each.left and now < each.until]
        self.beyond = self._rest + sum(each.left for each in self.slices[1:])

    def next_units(self, now: int, life: int, largest: int) -> int:
        """The units of the next slice, which is to be taken now; 0 or less for none. Lives last `life` µs."""
        self.drop(now)
        if self.taken_at and now - self.taken_at < life // 2:
            self.size *= 2
        self.size = min(max(self.size, 1), largest)
        for each in self.slices:
            each.low = -1
        return min(self.size - sum(each.left for each in self.slices), self._rest // _PART_OF_REST)
