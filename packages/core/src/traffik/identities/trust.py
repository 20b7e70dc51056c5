"""The proxies that this process trusts, and the client's address that follows from them.

Proxies are in front of a process, not of a throttle. So one setting serves all throttles without an identifier, and all
identifiers that fall back on the address. `traffik.identities.proxies` reads the headers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from traffik.adapters import adapter_of
from traffik.identities.networks import Networks, address_number
from traffik.identities.proxies import FORWARDING, NETWORK_PREFIX, Proxies, client_identity, proxies
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError
from traffik.notices.misconfiguration import everything_trusted, peer_from_header, untrusted_proxy

if TYPE_CHECKING:
    from traffik.identities.proxies import ProxiesOption

__all__ = [
    "Address",
    "address_of",
    "current",
    "look_for_proxies",
    "trust_no_proxies",
    "trust_proxies",
    "trusted",
    "warn_of_vast_trust",
]


class _Current:
    """The proxies that this process trusts, which may change while it runs."""

    __slots__ = ("proxies",)

    def __init__(self) -> None:
        self.proxies: Proxies | None = None


_LOOKS: Final = 32
"""The first hits of an `Address`, in which it also looks for a proxy that is not trusted."""

_ITSELF: Final = "127.0.0.1"
_TOLD: Final = ("--forwarded-allow-ips", "--proxy-headers")
"""Options of uvicorn, gunicorn and daphne that name trusted proxies."""

current: Final = _Current()
"""The current setting. Its `proxies` are None if the process trusts none."""


class Address:
    """The address of the client, IPv6 grouped; made by `address`."""

    __slots__ = ("__weakref__", "_own", "_unseen")

    def __init__(self, own: Proxies | None = None) -> None:
        self._own = own
        self._unseen = _LOOKS if own is None else 0

    def __call__(self, connection: Any, _context: object = None) -> str:
        if self._unseen:
            self._look(connection)
        setting = self._own or current.proxies
        if setting is not None:
            return client_identity(address_of(connection, setting), setting.ipv6_prefix)
        peer = adapter_of(connection).peer(connection) or address_of(connection)
        return peer if ":" not in peer else client_identity(peer)

    def number(self, connection: Any) -> int | None:
        """The address as a number, for lists of networks; None if it is a name."""
        if self._unseen:
            self._look(connection)
        return address_number(address_of(connection, self._own))

    def _look(self, connection: Any) -> None:
        """Look for a proxy that is not trusted. Throttles without an identifier do so in their first hits."""
        if current.proxies is None:
            self._unseen = max(self._unseen - 1, 0)  # from several threads it may be counted down too far
            look_for_proxies(connection)

    def __repr__(self) -> str:
        return "address(…)" if self._own else "address()"


def trust_proxies(
    trusted_proxies: ProxiesOption, *, header: str = "X-Forwarded-For", ipv6_prefix: int = NETWORK_PREFIX
) -> None:
    """Take clients' addresses from `header` as the proxies in front of this process write it, in every throttle.

    It applies from the next hit on.

    Args:
        trusted_proxies: their addresses and networks, such as ``["10.0.0.0/8", "2001:db8::1"]``. The header is read
            only in requests from them. Or the number of proxies that every request passes, 1 to 32, if no request can
            bypass one of them.
        header: the one header that is read. Each proxy has to append to it, as with X-Forwarded-For and Forwarded, or
            replace its value, as with CF-Connecting-IP.
        ipv6_prefix: the bits of an IPv6 address that tell clients apart, 48 to 128.

    Raises:
        ConfigurationError: an argument is none of the above.
    """
    trusted(proxies(trusted_proxies, header, ipv6_prefix))


def trust_no_proxies() -> None:
    """Read no header any more, as before the first `trust_proxies`."""
    trusted(None)


def trusted(setting: Proxies | None) -> None:
    """Use `setting` from the next hit on; None for no trust."""
    current.proxies = setting
    if setting is not None:
        warn_of_vast_trust(setting)


def warn_of_vast_trust(setting: Proxies) -> None:
    """Give a notice if `setting` trusts half of all addresses or more."""
    if isinstance(setting.trusted, Networks) and setting.trusted.vast:
        everything_trusted(setting.header)


def address_of(connection: Any, own: Proxies | None = None) -> str:
    """The address of the client of `connection`, not grouped.

    Args:
        connection: the framework's request or WebSocket.
        own: the trusted proxies of one throttle, used instead of those of the process.

    Raises:
        ConfigurationError: the connection has no address.
    """
    setting = current.proxies if own is None else own
    adapter = adapter_of(connection)
    address = peer = adapter.peer(connection)
    if setting is not None:
        address = setting.client(peer, adapter.headers(connection, setting.header))
    if address is not None:
        return address
    if setting is not None and isinstance(setting.trusted, int):
        found = f"and no address can be read in its {setting.header} header"
    else:
        found = (
            "(a Unix socket, or a proxy that hides it); call traffik.trust_proxies(1) if every request comes through "
            "one proxy that sets X-Forwarded-For"
        )
    raise ConfigurationError(
        f"clients cannot be told apart: {describe(connection)} has no client address {found}; or give the "
        f"throttle an identifier"
    )


def look_for_proxies(connection: Any) -> None:
    """Give a notice if a proxy seems to be in front, or the server reads a header itself, and no proxy is trusted."""
    adapter = adapter_of(connection)
    peer = adapter.peer(connection)
    found = {name: lines for name in FORWARDING if (lines := adapter.headers(connection, name))}
    # a server that trusts proxies itself hands over an address from a header as the peer
    believed = [name for name, lines in found.items() if peer and any(peer in line for line in lines)]
    if found and not believed:
        untrusted_proxy(next(iter(found)))
    elif peer and believed and _is_believed_by_default(peer, found[believed[0]]):
        peer_from_header(believed[0])


def _is_believed_by_default(peer: str, lines: Sequence[str]) -> bool:
    """Whether a server without an option for trusted proxies may have taken `peer` from a header.

    By default servers trust this machine alone, so another proxy after the peer means that the option was given.
    """
    if "FORWARDED_ALLOW_IPS" in os.environ or any(word.startswith(_TOLD) for word in sys.argv):
        return False
    hops = [hop.strip() for line in lines for hop in line.split(",")]
    return all(hop == _ITSELF for hop in takewhile(lambda hop: peer not in hop, reversed(hops)))
