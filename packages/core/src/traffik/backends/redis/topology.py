"""Which server of a cluster owns which slot. A plain table: whoever asks the servers keeps it up to date."""

from __future__ import annotations

from typing import Any, Final

from redis.crc import key_slot

from traffik.backends.redis.settings import Endpoint

__all__ = ["SLOTS", "Topology", "slot_of"]

SLOTS: Final = 16_384


def slot_of(key: str) -> int:
    """The slot of a whole key, which is that of its hash tag."""
    return key_slot(key.encode())


class Topology:
    """The owners of all slots.

    Attributes:
        stale: whether a server has said that it is out of date.
        across: whether one call may be about several slots of a server. Not so where something stands between that
            sends a call without declared keys to any server.
    """

    __slots__ = ("_owners", "across", "stale")

    def __init__(self, ranges: list[Any], asked: Endpoint) -> None:
        """Read the answer to ``CLUSTER SLOTS``, as `asked` gave it (an owner without a host is that one)."""
        self._owners: list[Endpoint | None] = [None] * SLOTS
        self.stale = False
        self.across = True
        for first, last, owner, *_ in ranges:
            host = (owner[0] or b"").decode()
            endpoint = Endpoint(asked.host if host in {"", "?"} else host, int(owner[1]))
            self._owners[first : last + 1] = [endpoint] * (last + 1 - first)

    def owner(self, slot: int) -> Endpoint | None:
        """The server that owns `slot`; None if nobody does."""
        return self._owners[slot]

    def moved(self, slot: int, endpoint: Endpoint) -> None:
        """Take note that `slot` is elsewhere; others may be too."""
        self._owners[slot] = endpoint
        self.stale = True

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every server that owns a slot."""
        return tuple(dict.fromkeys(owner for owner in self._owners if owner is not None))
