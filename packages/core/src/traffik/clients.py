"""Who a client is when nobody says otherwise: the address at the other end of the socket, as one identity.

No header is believed here. An IPv4 address is itself; an IPv4-mapped IPv6 address is the IPv4 address in it; an IPv6
address stands for its /64, the least that one subscriber has, since a client can pick any address in there.
"""

from __future__ import annotations

from typing import Final

__all__ = ["EXEMPTED", "NETWORK_PREFIX", "Exempted", "client_identity"]

NETWORK_PREFIX: Final = 64
"""The bits of an IPv6 address that tell clients apart."""


class Exempted:
    """The type of `EXEMPTED`."""

    def __repr__(self) -> str:
        return "EXEMPTED"


EXEMPTED: Final = Exempted()
"""What an identifier answers for a client that is not to be limited."""


def client_identity(peer: str) -> str:
    """The identity of the client at address `peer`; a name that is no address (a Unix socket's, say) is itself."""
    if ":" not in peer:
        return peer
    # Imported here: most peers are IPv4, and then it is never needed.
    from ipaddress import IPv6Address, IPv6Network

    try:
        address = IPv6Address(peer.partition("%")[0])
    except ValueError:
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    network = IPv6Network((int(address) >> (128 - NETWORK_PREFIX) << (128 - NETWORK_PREFIX), NETWORK_PREFIX))
    return str(network)
