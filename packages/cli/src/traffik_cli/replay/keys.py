"""Facts about the keys of a limit: the share of addresses, of private ones, and the busiest key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from traffik_cli.replay.addresses import address_in, is_private
from traffik_cli.replay.ledgers import Tally

__all__ = ["KeyReport", "keys_of"]

_LOOKED_AT: Final = 20_000
"""Keys that are looked at; more of them would not change the shares."""


@dataclass(frozen=True, slots=True)
class KeyReport:
    """The keys of a limit, of which the first 20,000 are looked at.

    Attributes:
        looked_at: how many were looked at.
        addresses: how many of those are addresses.
        masked: addresses of IPv4 that end with 0, as those do whose end was cut off.
        requests: requests of those that were looked at.
        private: how many of these came from private addresses.
        busiest: the key with the most requests of all; None if there is none.
        busiest_requests: how many that has.
        other: a key that is no address; None if all are.
    """

    looked_at: int
    addresses: int
    masked: int
    requests: int
    private: int
    busiest: str | None
    busiest_requests: int
    other: str | None


def keys_of(entries: Sequence[tuple[bytes, Tally]]) -> KeyReport:
    """Look at the keys of a limit."""
    looked_at = addresses = masked = requests = private = 0
    other: bytes | None = None
    for key, entry in islice(entries, _LOOKED_AT):
        looked_at += 1
        requests += entry.requests
        address = address_in(key.decode("utf-8", "replace").partition("/")[0])
        if address is None:
            other = key if other is None else other
            continue
        addresses += 1
        masked += address.endswith(".0")
        if is_private(address):
            private += entry.requests
    counts = [entry.requests for _, entry in entries]
    most = max(counts, default=0)
    return KeyReport(
        looked_at,
        addresses,
        masked,
        requests,
        private,
        _text(entries[counts.index(most)][0]) if counts else None,
        most,
        None if other is None else _text(other),
    )


def _text(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace")
