"""Which proxies this process trusts, and so whose quota a connection is in by default.

Proxies stand in front of a process, not of a throttle. So one setting serves all throttles without an identifier, and
all identifiers that fall back on the address. How headers are read is in `traffik.identities.proxies`.
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
    """The trust of this process, which may change while it runs."""

    __slots__ = ("proxies",)

    def __init__(self) -> None:
        self.proxies: Proxies | None = None


_LOOKS: Final = 32
"""Hits for which an `Address` also looks for a proxy that nobody has named."""

_ITSELF: Final = "127.0.0.1"
_TOLD: Final = ("--forwarded-allow-ips", "--proxy-headers")
"""Options of uvicorn, gunicorn and daphne that say which proxies to believe."""

current: Final = _Current()
"""What this process trusts now; its `proxies` are None if it trusts none."""


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
        """The address itself, for lists of networks; None if it is a name."""
        if self._unseen:
            self._look(connection)
        return address_number(address_of(connection, self._own))

    def _look(self, connection: Any) -> None:
        """Look for a proxy that nobody has named, as a throttle without an identifier does in its first hits."""
        if current.proxies is None:
            self._unseen = max(self._unseen - 1, 0)  # from several threads it may be counted down too far
            look_for_proxies(connection)

    def __repr__(self) -> str:
        return "address(…)" if self._own else "address()"


def trust_proxies(
    trusted_proxies: ProxiesOption, *, header: str = "X-Forwarded-For", ipv6_prefix: int = NETWORK_PREFIX
) -> None:
    """Believe what the proxies in front of this process write in `header`, from the next hit on, in every throttle.

    Args:
        trusted_proxies: their addresses and networks, such as ``["10.0.0.0/8", "2001:db8::1"]``; only what comes from
            them is believed. Or how many proxies every request passes, 1 to 32, if nothing can reach this process, or
            one of them, in another way.
        header: the one header that is read. Each of the proxies has to append to it, as to X-Forwarded-For and
            Forwarded, or to set it whatever the client has sent, as with CF-Connecting-IP.
        ipv6_prefix: the bits of an IPv6 address that tell clients apart, 48 to 128.

    Raises:
        ConfigurationError: an argument is none of the above.
    """
    trusted(proxies(trusted_proxies, header, ipv6_prefix))


def trust_no_proxies() -> None:
    """Believe no header again, as at first."""
    trusted(None)


def trusted(setting: Proxies | None) -> None:
    """Use `setting` from the next hit on; None for no trust."""
    current.proxies = setting
    if setting is not None:
        warn_of_vast_trust(setting)


def warn_of_vast_trust(setting: Proxies) -> None:
    """Say so if `setting` believes everybody."""
    if isinstance(setting.trusted, Networks) and setting.trusted.vast:
        everything_trusted(setting.header)


def address_of(connection: Any, own: Proxies | None = None) -> str:
    """The address of the client of `connection`, not grouped.

    Args:
        connection: what a framework hands over.
        own: the trust of one throttle, used instead of that of the process.

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
            "(a Unix socket, or a proxy that hides it); say traffik.trust_proxies(1) if one proxy, which sets "
            "X-Forwarded-For, is all that can reach it"
        )
    raise ConfigurationError(
        f"clients cannot be told apart: {connection!r} has no address at its other end {found}; or give the throttle "
        f"an identifier"
    )


def look_for_proxies(connection: Any) -> None:
    """Give a notice if a proxy seems to stand in front, or the server believes a header, and no proxy is trusted."""
    adapter = adapter_of(connection)
    peer = adapter.peer(connection)
    found = {name: lines for name in FORWARDING if (lines := adapter.headers(connection, name))}
    # A server that believes proxies itself hands over as peer what stands in a header.
    believed = [name for name, lines in found.items() if peer and any(peer in line for line in lines)]
    if found and not believed:
        untrusted_proxy(next(iter(found)))
    elif peer and believed and _is_believed_by_default(peer, found[believed[0]]):
        peer_from_header(believed[0])


def _is_believed_by_default(peer: str, lines: Sequence[str]) -> bool:
    """Whether a server that was not told which proxies to believe may have taken `peer` from a header.

    It believes this machine alone, so any other proxy after the peer shows that it was told.
    """
    if "FORWARDED_ALLOW_IPS" in os.environ or any(word.startswith(_TOLD) for word in sys.argv):
        return False
    hops = [hop.strip() for line in lines for hop in line.split(",")]
    return all(hop == _ITSELF for hop in takewhile(lambda hop: peer not in hop, reversed(hops)))
