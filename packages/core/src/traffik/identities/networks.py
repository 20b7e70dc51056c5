"""Addresses as numbers, and sets of networks with a fast lookup. Pure arithmetic, without name lookups.

An IPv4 address in IPv6 form (``::ffff:192.0.2.1``) counts as the IPv4 address. IPv4 addresses are numbers below zero,
IPv6 addresses from zero on, so a network of one kind never contains an address of the other.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    Network: TypeAlias = str | IPv4Network | IPv6Network | IPv4Address | IPv6Address

__all__ = ["LONGEST_ADDRESS", "Networks", "NetworksOption", "address_number", "networks", "networks_of_lines"]

NetworksOption: TypeAlias = "Network | Iterable[Network]"
"""One network or several: text such as ``"10.0.0.0/8"`` or ``"2001:db8::1"``, or objects of `ipaddress`."""

LONGEST_ADDRESS: Final = 100
"""The longest text that is parsed as an address, in characters. The longest IPv6 address has 45, and a zone."""

_V4: Final = 2**32
_MAPPED: Final = 0xFFFF
_REMEMBERED: Final = 2048
"""How many parsed texts are cached."""


@lru_cache(_REMEMBERED)
def address_number(text: str) -> int | None:
    """The address `text` as a number; None if it is not an address. A zone (``%eth0``) is ignored."""
    from ipaddress import IPv4Address, IPv6Address

    try:
        if ":" not in text:
            return int(IPv4Address(text)) - _V4
        return _unmapped(int(IPv6Address(text.partition("%")[0])))
    except ValueError:
        return None


def networks(given: NetworksOption) -> Networks:
    """Networks as one set.

    Raises:
        ConfigurationError: one of them is not a network, or has host bits set.
    """
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    # a network of `ipaddress` can be iterated too, over its hosts
    if isinstance(given, str | IPv4Network | IPv6Network | IPv4Address | IPv6Address):
        return _united((_interval(given),))
    if not isinstance(given, Iterable):
        raise ConfigurationError(f'networks are text such as "10.0.0.0/8", or several of them, not {describe(given)}')
    return _united(map(_interval, given))


def networks_of_lines(lines: Iterable[str], source: str) -> Networks:
    """The networks in the lines of a file, one per line. From ``#`` on, a line is a comment.

    Args:
        lines: the lines, from the first on.
        source: the name of the file for error messages.

    Raises:
        ConfigurationError: a line is not a network. The message has its number.
    """
    intervals = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                intervals.append(_interval(text))
            except ConfigurationError as error:
                raise ConfigurationError(f"{source}:{number}: {error}") from None
    return _united(intervals)


@dataclass(frozen=True, slots=True)
class Networks:
    """A set of addresses, made of networks. A lookup among ten thousand is as fast as with one.

    Attributes:
        starts: the first address of each range, ascending, as numbers from `address_number`.
        ends: the last address of each range.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def holds(self, number: int | None) -> bool:
        """Whether the address is in one of the networks. A text that is not an address is in none."""
        if number is None:
            return False
        place = bisect_right(self.starts, number) - 1
        return place >= 0 and number <= self.ends[place]

    @property
    def vast(self) -> bool:
        """Whether it has at least half of all IPv4 addresses, or of the IPv6 addresses in use (2000::/3)."""
        sizes = [(start, end - start + 1) for start, end in zip(self.starts, self.ends, strict=True)]
        return sum(size for start, size in sizes if start < 0) >= _V4 // 2 or any(size >= 2**124 for _, size in sizes)


def _interval(given: object) -> tuple[int, int]:
    """The first and the last address of a network."""
    from ipaddress import ip_network

    text = str(given).strip()
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{describe(given)} is no network, such as '10.0.0.0/8' or '2001:db8::1': {_hint(text) or error}"
        ) from None
    if network.version == 4:
        return int(network[0]) - _V4, int(network[-1]) - _V4
    first, last = int(network[0]), int(network[-1])
    return (_unmapped(first), _unmapped(last)) if network.prefixlen >= 96 else (first, last)


def _hint(text: str) -> str | None:
    """What to write in place of `text`, if that can be guessed."""
    from ipaddress import ip_network

    if text == "*":
        return "all addresses are '0.0.0.0/0' and '::/0', but then clients can choose theirs"
    if re.fullmatch(r"(?=.*[a-z])[a-z0-9.-]+", text, re.IGNORECASE):
        return "host names are not looked up"
    try:
        return f"its addresses are those of {str(ip_network(text, strict=False))!r}"
    except ValueError:
        return None


def _unmapped(number: int) -> int:
    return (number & (_V4 - 1)) - _V4 if number >> 32 == _MAPPED else number


def _united(intervals: Iterable[tuple[int, int]]) -> Networks:
    """The intervals in order. Those that overlap or touch are merged."""
    runs: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        # IPv4 ends at -1, and must not continue into IPv6
        if runs and start <= runs[-1][1] + 1 and (start < 0) == (runs[-1][0] < 0):
            runs[-1] = runs[-1][0], max(end, runs[-1][1])
        else:
            runs.append((start, end))
    return Networks(tuple(start for start, _ in runs), tuple(end for _, end in runs))
