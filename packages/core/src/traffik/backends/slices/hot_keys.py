"""The slices of one key in this process, and how large the next one is. Reads no clock: times are arguments, in µs.

A key that is hit often becomes a hot key. Its first slice has as many units as hits went to the store lately. The next
is four times as large if most of the last one was spent in the first half of the time it could be spent in. If it ended
unspent, the next is as large as the spent part, but at least a quarter. How long the store takes to answer does not
count, or slices would stay small while it is slow.

A slice is at most a sixteenth of the quota that is left in the store, so slices become smaller as a limit comes to its
end, and its last units are taken one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from traffik.backends.postings import SETTLE, Posting

if TYPE_CHECKING:
    from traffik.model.decisions import Decision

__all__ = ["HotKey", "Slice"]

_GROWTH: Final = 4
"""How many times larger the next slice is if the last one was spent soon, and how many times smaller at most."""

_PART_OF_REST: Final = 16
"""A slice is at most this part of the quota that is left in the store."""


class Slice:
    """Units of one key that this process took at once.

    Attributes:
        posting: gives all of them back.
        left: the units that have not been spent.
        until: when they can no longer be spent.
        low: with this many left it is time for the next slice, or that is being taken; -1 once it has been tried.
    """

    __slots__ = ("left", "low", "posting", "until")

    def __init__(self, posting: Posting, until: int) -> None:
        self.posting: Posting = posting
        self.left: int = -posting.units
        self.until: int = until
        self.low: int = self.left // 4

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
        first: the slice to spend from; one without units if there is none.
        beyond: the quota left after the first slice: in the store, as of its last answer, and in the next slice.
        reset_at: when the whole quota would be available again, as of the last answer.
        refilling: whether a slice is being taken.
        taken_at: when the last slice arrived; 0 before the first.
    """

    __slots__ = ("_grows_until", "_rest", "_size", "_slices", "beyond", "first", "refilling", "reset_at", "taken_at")

    def __init__(self) -> None:
        self._slices: list[Slice] = []  # the oldest first: two while the last units of one are spent
        self._size = 1
        self._rest = self._grows_until = 0
        self.reset_at: int = 0
        self.taken_at: int = 0
        self.refilling: bool = False
        self._arrange()

    def note(self, decision: Decision, now: int) -> None:
        """Note the quota that is left in the store, as it answered to a question asked at `now`."""
        self._rest = decision.remaining
        self.reset_at = now + decision.reset_after
        self._arrange()

    def add(self, taken: Slice, decision: Decision, asked: int, now: int) -> None:
        """Add a slice that was asked for at `asked`, and has arrived at `now`."""
        self._slices.append(taken)
        self._grows_until = (now + taken.until) // 2
        self.taken_at = now
        self.note(decision, asked)

    @property
    def left(self) -> int:
        """The units that have not been spent."""
        return sum(each.left for each in self._slices)

    def drop(self, now: int) -> None:
        """Drop the slices that are spent or have ended."""
        for each in self._slices:
            if each.left and now >= each.until:
                self._size = min(self._size, max(each.spent, self._size // _GROWTH))
        self._slices = [each for each in self._slices if each.left and now < each.until]
        self._arrange()

    def give_back(self) -> list[Posting]:
        """The postings that give all units back. From now on they cannot be spent."""
        postings = [each.give_back() for each in self._slices if each.left]
        self._slices = []
        self._arrange()
        return postings

    def next_units(self, now: int, asking: int, largest: int) -> int:
        """The units of the next slice, if it is to be taken now. If not, less than two.

        Args:
            now: the time.
            asking: the hits on the key that went to the store lately.
            largest: the most units of a slice.
        """
        self.drop(now)
        if self._slices and self._slices[-1].left > self._slices[-1].low:
            return 0  # there is enough, or there was no more
        if now < self._grows_until:
            self._size *= _GROWTH
            self._grows_until = 0
        self._size = min(max(self._size, asking), largest)
        for each in self._slices:
            each.low = each.left
        return min(self._size - self.left, self._rest // _PART_OF_REST)

    def refilled(self, arrived: bool) -> None:
        """Called once the next slice has `arrived` or not, so that the ones before do not ask for it again."""
        self.refilling = False
        for each in self._slices[:-1] if arrived else self._slices:
            each.low = -1

    def _arrange(self) -> None:
        self.first: Slice = self._slices[0] if self._slices else _NONE
        self.beyond: int = self._rest + sum(each.left for each in self._slices[1:])


_NONE: Final = Slice(Posting(SETTLE, None, ""), 0)
"""A slice without units."""
