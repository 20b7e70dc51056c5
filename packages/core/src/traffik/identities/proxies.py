"""The default identity of a client: its address. Pure arithmetic on the data that the adapter hands over.

Without trusted proxies, the address is that of the socket's peer, and no header is read. With trusted proxies, one
header is read from the right while each address is that of a trusted proxy. The first other address is the client. Text
that the client has sent is further left, and never used. If an element cannot be parsed, the last known address counts:
that of a proxy, so its clients share a quota, but never an address that a client has chosen.

An IPv4 address in IPv6 (IPv4-mapped, NAT64 or 6to4) counts as the IPv4 address. Any other IPv6 address is grouped with
its /64, the smallest network that one subscriber gets, since a client can use any address in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from traffik.identities.forwarding import MAX_HOPS, hops
from traffik.identities.networks import Networks, address_number, networks
from traffik.model.errors import ConfigurationError

if TYPE_CHECKING:
    from traffik.identities.networks import NetworksOption

__all__ = [
    "DENIED",
    "EXEMPTED",
    "FORWARDING",
    "NETWORK_PREFIX",
    "Denied",
    "Exempted",
    "Proxies",
    "ProxiesOption",
    "client_identity",
    "proxies",
]

NETWORK_PREFIX: Final = 64
"""The default of the bits of an IPv6 address that tell clients apart."""

FORWARDING: Final = (
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
    "fly-client-ip",
)
"""Headers in which proxies name the client."""

ProxiesOption: TypeAlias = "int | NetworksOption"
"""The type of arguments named `trusted_proxies`: their networks, or the number of proxies in a row."""

_V4: Final = 2**32
_NAT64: Final = 0x64FF9B << 64  # 64:ff9b::/96, RFC 6052, section 2.1
_6TO4: Final = 0x2002  # 2002::/16, RFC 3056, section 2
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REMEMBERED: Final = 2048


class Exempted:
    """The type of `EXEMPTED`."""

    def __repr__(self) -> str:
        return "EXEMPTED"


class Denied:
    """The type of `DENIED`."""

    def __repr__(self) -> str:
        return "DENIED"


EXEMPTED: Final = Exempted()
"""An identifier returns this for a client without a limit."""

DENIED: Final = Denied()
"""An identifier returns this for a client that is not served: it is refused with status 403 and counted nowhere."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies in front of this process, and the header in which they name the client.

    Attributes:
        trusted: their networks, or the number of proxies that every request passes.
        header: the one header that is read, in lower case.
        ipv6_prefix: the bits of an IPv6 address that tell clients apart, 48 to 128.
    """

    trusted: Networks | int
    header: str
    ipv6_prefix: int

    def client(self, peer: str | None, lines: Sequence[str]) -> str | None:
        """The address of the client, not grouped; None if there is none.

        Args:
            peer: the address at the other end of the socket; None without one.
            lines: the lines of the header, in the order they came.
        """
        if isinstance(self.trusted, int):
            return self._counted(self.trusted, peer, lines)
        if peer is None or not self.trusted.holds(address_number(peer)):
            return peer
        known = peer
        for hop in hops(lines, self.header):
            number = None if hop is None else address_number(hop)
            if hop is None or number is None:
                break
            known = hop
            if not self.trusted.holds(number):
                break
        return known

    def identity(self, peer: str | None, lines: Sequence[str]) -> str | None:
        """The identity of the client; None if it has no address."""
        client = self.client(peer, lines)
        return None if client is None else client_identity(client, self.ipv6_prefix)

    def _counted(self, count: int, peer: str | None, lines: Sequence[str]) -> str | None:
        """The address that the outermost of `count` proxies gives; if there are fewer, the outermost that there is."""
        known = peer
        for _, hop in zip(range(count), hops(lines, self.header), strict=False):
            if hop is None or address_number(hop) is None:
                break
            known = hop
        return known


def proxies(
    trusted_proxies: ProxiesOption, header: str = "X-Forwarded-For", ipv6_prefix: int = NETWORK_PREFIX
) -> Proxies:
    """The setting of trusted proxies, checked and prepared.

    Args:
        trusted_proxies: their addresses and networks, such as ``["10.0.0.0/8"]``; an empty list trusts none. Or the
            number of proxies that every request passes, 1 to `MAX_HOPS`.
        header: the one header to read: X-Forwarded-For and similar ones, Forwarded, or one with a single address such
            as CF-Connecting-IP. Every proxy has to append to the header, or replace its value.
        ipv6_prefix: the bits of an IPv6 address that tell clients apart, 48 to 128.

    Raises:
        ConfigurationError: an argument is none of the above.
    """
    trusted: Networks | int
    if isinstance(trusted_proxies, int):
        if isinstance(trusted_proxies, bool) or not 1 <= trusted_proxies <= MAX_HOPS:
            raise ConfigurationError(
                f"the number of proxies is from 1 to {MAX_HOPS}, not {trusted_proxies!r}; to trust none, give no "
                f"networks: []"
            )
        trusted = trusted_proxies
    else:
        trusted = networks(trusted_proxies)
    if not isinstance(header, str) or not _TOKEN.fullmatch(header):
        raise ConfigurationError(f"a header is a name, such as 'X-Forwarded-For', not {header!r}")
    return Proxies(trusted, header.lower(), _prefix(ipv6_prefix))


def client_identity(peer: str, ipv6_prefix: int = NETWORK_PREFIX) -> str:
    """The identity of the client at address `peer`. A name that is not an address (a Unix socket's) is kept."""
    return peer if ":" not in peer else _grouped(peer, ipv6_prefix)


@lru_cache(_REMEMBERED)
def _grouped(peer: str, ipv6_prefix: int) -> str:
    from ipaddress import IPv4Address, IPv6Network

    number = address_number(peer)
    if number is None:
        return peer
    if number < 0:
        return str(IPv4Address(number + _V4))
    if number >> 32 == _NAT64:
        return str(IPv4Address(number & (_V4 - 1)))
    if number >> 112 == _6TO4:  # the owner of an IPv4 address owns the /48 that is made from it
        return str(IPv4Address(number >> 80 & (_V4 - 1)))
    host = 128 - ipv6_prefix
    return str(IPv6Network((number >> host << host, ipv6_prefix)))


def _prefix(bits: object) -> int:
    if isinstance(bits, bool) or not isinstance(bits, int) or not 48 <= bits <= 128:
        raise ConfigurationError(
            f"an IPv6 prefix is from 48 to 128 bits, not {bits!r}: more than 64 let one subscriber have many quotas, "
            f"fewer make neighbours share one"
        )
    return bits
