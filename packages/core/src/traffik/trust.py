"""Which proxies this process trusts, and so whose quota a connection is in by default.

The proxies in front are a property of the process, not of a throttle: one setting is for all throttles without an
identifier, and for the identities that fall back on the address. How headers are read is in `traffik.clients`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from traffik._misconfiguration import everything_trusted, untrusted_proxy
from traffik.adapters import adapter_of
from traffik.backends import binding
from traffik.clients import FORWARDING, NETWORK_PREFIX, Proxies, client_identity, proxies
from traffik.descriptions import describe
from traffik.errors import ConfigurationError
from traffik.networks import Networks

if TYPE_CHECKING:
    from traffik.clients import ProxiesOption

__all__ = [
    "address_of",
    "identity_of",
    "in_force",
    "look_for_proxies",
    "trust_no_proxies",
    "trust_proxies",
    "trusted",
    "warn_of_vast_trust",
]

_in_force: Proxies | None = None


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
    global _in_force  # noqa: PLW0603 - what stands in front of a process is a fact about the process
    with binding.lock:
        _in_force = setting
        binding.tell()
    if setting is not None:
        warn_of_vast_trust(setting)


def warn_of_vast_trust(setting: Proxies) -> None:
    """Say so if `setting` believes everybody."""
    if isinstance(setting.trusted, Networks) and setting.trusted.vast:
        everything_trusted(setting.header)


def in_force() -> Proxies | None:
    """What is trusted now; None if nothing is."""
    return _in_force


def identity_of(connection: Any, own: Proxies | None = None) -> str:
    """The client of `connection` as an identity: its address, IPv6 grouped.

    Args:
        connection: what a framework hands over.
        own: trust of a throttle's own, instead of that of the process.

    Raises:
        ConfigurationError: it has no address.
    """
    setting = _in_force if own is None else own
    prefix = NETWORK_PREFIX if setting is None else setting.ipv6_prefix
    return client_identity(address_of(connection, setting), prefix)


def address_of(connection: Any, own: Proxies | None = None) -> str:
    """The address of the client of `connection`, not grouped; arguments and errors as of `identity_of`."""
    setting = _in_force if own is None else own
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
        f"clients cannot be told apart: {describe(connection)} has no address at its other end {found}; or give the "
        f"throttle an identifier"
    )


def look_for_proxies(connection: Any) -> None:
    """Say so if a proxy seems to stand in front, and none is trusted."""
    adapter = adapter_of(connection)
    peer = adapter.peer(connection)
    found = {name: lines for name in FORWARDING if (lines := adapter.headers(connection, name))}
    # A server that believes proxies itself hands over as peer what stands in a header: that is settled, then.
    if not found or (peer and any(peer in line for lines in found.values() for line in lines)):
        return
    untrusted_proxy(next(iter(found)))
