"""Facts about the keys of a limit: the share of addresses, of private ones, and the busiest key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from traffik_cli.replay.addresses import address_in, is_private
from traffik_cli.replay.ledgers import Tally

__all__ = ["KeyReport", "keys_of"]

_LOOKED_AT: Final = 20_000
"""Keys that are looked at in any case."""

_BUSY: Final = 1_000
"""A key with more than one in so many requests is looked at too, as a proxy that came later than many clients."""


@dataclass(frozen=True, slots=True)
class KeyReport:
    """The keys of a limit, of which the first 20,000 are looked at, and those with more than 0.1 % of the requests.

    Attributes:
        looked_at: how many were looked at.
        addresses: how many of those are addresses.
        masked: addresses of IPv4 that end with 0, as those do whose end was cut off.
        requests: requests of those that were looked at.
        private: how many of these came from private addresses.
        inside: the private address with the most requests; None if there is none.
        busiest: the key with the most requests of all; None if there is none.
        busiest_requests: how many that has.
        other: a key that is no address; None if all are.
    """

    looked_at: int
    addresses: int
    masked: int
    requests: int
    private: int
    inside: str | None
    busiest: str | None
    busiest_requests: int
    other: str | None


def keys_of(entries: Sequence[tuple[bytes, Tally]], counts: Sequence[int]) -> KeyReport:
    """Look at the keys of a limit; `counts` says how many requests each has."""
    looked_at = addresses = masked = requests = private = most_inside = 0
    other: bytes | None = None
    inside: bytes | None = None
    most, floor = max(counts, default=0), sum(counts) // _BUSY
    busy = (entries[place] for place in range(_LOOKED_AT, len(counts)) if counts[place] > floor)
    for key, entry in chain(islice(entries, _LOOKED_AT), busy):
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
            if entry.requests > most_inside:
                most_inside, inside = entry.requests, key
    return KeyReport(
        looked_at,
        addresses,
        masked,
        requests,
        private,
        None if inside is None else _text(inside),
        _text(entries[counts.index(most)][0]) if counts else None,
        most,
        None if other is None else _text(other),
    )


def _text(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace")
