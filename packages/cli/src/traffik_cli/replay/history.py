"""The requests of a log, kept small: the client of each as a number, in the order of time.

Clients do not share quota, so a limit can be tried on a few of them alone. A history holds four bytes for a request,
sixteen for an instant, and the name of every client once.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from traffik_cli.replay.batches import Hit
from traffik_cli.replay.selectors import Selector, identity_in, is_nothing

__all__ = ["History"]


class _Numbers(dict[Hit, int]):
    """The numbers of clients by their keys in the log, alone or as a pair of a group and a key."""

    def __init__(self, selector: Selector) -> None:
        super().__init__()
        self.names: list[bytes] = []
        self.groups: list[str] = []
        self._selector = selector
        self._known: dict[tuple[str, bytes], int] = {}

    def __missing__(self, hit: Hit) -> int:
        group, raw = hit if isinstance(hit, tuple) else ("", hit)
        name = b"" if is_nothing(self._selector, raw) else identity_in(self._selector, raw)
        number = self[hit] = self.number(group, name)
        return number

    def number(self, group: str, name: bytes) -> int:
        """The number of a client, which is a new one if it has none yet."""
        number = self._known.setdefault((group, name), len(self.names))
        if number == len(self.names):
            self.names.append(name)
            self.groups.append(group)
        return number


@dataclass(slots=True)
class History:
    """Requests by client.

    A client is a key within a group, so that a client with requests in two groups is two here. Requests without a key
    belong to a client without a name.

    Args:
        selector: where keys come from.

    Attributes:
        clients: the number of the client of every request, in the order of time.
        times: the instants, µs since the epoch.
        ends: for every instant, how many requests there are up to its end.
        costs: the units that every request takes; empty if all take the same.
    """

    selector: Selector
    clients: array[int] = field(default_factory=lambda: array("I"))
    times: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    costs: array[int] = field(default_factory=lambda: array("q"))
    _numbers: _Numbers = field(init=False)

    def __post_init__(self) -> None:
        self._numbers = _Numbers(self.selector)

    @property
    def names(self) -> Sequence[bytes]:
        """The keys of the clients by their numbers, addresses grouped; empty for requests without a key."""
        return self._numbers.names

    @property
    def groups(self) -> Sequence[str]:
        """The groups of the clients by their numbers; empty if nothing is grouped."""
        return self._numbers.groups

    def add(self, times: Sequence[int], hits: Sequence[Hit], costs: Sequence[int] = ()) -> None:
        """Add requests in the order of time.

        Args:
            times: the instant of each, µs since the epoch.
            hits: the keys, or pairs of a group and a key.
            costs: units that they take, if not all take the same.
        """
        before, instants = len(self.clients), dict.fromkeys(times)
        self.clients.extend(map(self._numbers.__getitem__, hits))
        self.costs.extend(costs)
        self.times.extend(instants)
        self.ends.extend(before + bisect_right(times, now) for now in instants)

    def regrouped(self, groups: Mapping[str, str]) -> History:
        """The same requests, with the groups that `groups` has for each."""
        if all(old == new for old, new in groups.items()):
            return self
        found = History(self.selector)
        pairs = zip(self.groups, self.names, strict=True)
        numbers = [found.number(groups[group], name) for group, name in pairs]
        found.clients.extend(map(numbers.__getitem__, self.clients))
        found.times, found.ends, found.costs = self.times, self.ends, self.costs
        return found

    def number(self, group: str, name: bytes) -> int:
        """The number of a client, which is a new one if it has none yet."""
        return self._numbers.number(group, name)
