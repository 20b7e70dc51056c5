"""Who a client is when nobody says otherwise: its address, as one identity. Pure arithmetic on what the adapter tells.

Without trust in proxies that is the other end of the socket, and no header is believed. With it, one header is walked
from the right, for as long as each address is that of a trusted proxy; the first that is not is the client. Whatever
the client has sent stands further left, and is never reached. What cannot be read ends the walk at the last address
that is known: a proxy's, whose clients then share a quota, and never one that a client has chosen.

An IPv4 address is itself; one in IPv6 (IPv4-mapped, or behind NAT64 or 6to4) is the IPv4 address in it. Any other IPv6
address stands for its /64, the least that one subscriber has, since a client can pick any address in there.
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
"""The bits of an IPv6 address that tell clients apart, unless others are asked for."""

FORWARDING: Final = (
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
    "fly-client-ip",
)
"""Headers in which proxies say whom they speak for."""

ProxiesOption: TypeAlias = "int | NetworksOption"
"""What an argument named `trusted_proxies` takes: their networks, or how many there are in a row."""

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
"""What an identifier answers for a client that is not to be limited."""

DENIED: Final = Denied()
"""What an identifier answers for a client that is not to be served: refused with status 403, and counted nowhere."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies in front, and the header in which they say whom they speak for.

    Attributes:
        trusted: their networks; or how many of them every request passes, one after the other.
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
        """The client as an identity; None if it has no address."""
        client = self.client(peer, lines)
        return None if client is None else client_identity(client, self.ipv6_prefix)

    def _counted(self, count: int, peer: str | None, lines: Sequence[str]) -> str | None:
        """The word of the outermost of `count` proxies; where it is not heard, that of the outermost that is."""
        known = peer
        for _, hop in zip(range(count), hops(lines, self.header), strict=False):
            if hop is None or address_number(hop) is None:
                break
            known = hop
        return known


def proxies(
    trusted_proxies: ProxiesOption, header: str = "X-Forwarded-For", ipv6_prefix: int = NETWORK_PREFIX
) -> Proxies:
    """Trust in proxies, made ready.

    Args:
        trusted_proxies: their addresses and networks, such as ``["10.0.0.0/8"]``; none of them to trust nobody. Or how
            many proxies every request passes, 1 to `MAX_HOPS`.
        header: the one header to read: X-Forwarded-For and its like, Forwarded, or one with a single address such as
            CF-Connecting-IP. Every proxy has to append to it, or to set it, whatever the client has sent.
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
    """The identity of the client at address `peer`; a name that is no address (a Unix socket's, say) is itself."""
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
    if number >> 112 == _6TO4:  # whoever has an IPv4 address has all of the /48 that is made from it
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
