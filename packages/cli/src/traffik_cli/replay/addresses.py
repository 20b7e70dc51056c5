"""Addresses as logs write them: with ports, in brackets, in lists of a forwarding header."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from traffik.identities.forwarding import host_of
from traffik.identities.networks import address_number, networks
from traffik.identities.proxies import client_identity

__all__ = ["NO_ADDRESS", "PRIVATE", "address_in", "hop_in", "identity_of", "is_plain", "is_private"]

PRIVATE: Final = networks(
    (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("::1", "fc00::/7", "fe80::/10"),
    )
)
"""The networks whose addresses are not used on the internet: a client with one is a proxy, or stands inside."""

NO_ADDRESS: Final = frozenset(["", "-", "unknown", "unix:", "unix", "@", "(null)", "null", "nil", "none", "undefined"])
"""What servers write in the place of an address that they do not know, such as that of a socket of Unix."""

_FIRST: Final = address_number("0.0.0.0") or 0  # noqa: S104 - the first address of IPv4
_REMEMBERED: Final = 4096

_PLAIN: Final = re.compile(
    r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)", re.ASCII
).fullmatch
"""Matches an address of IPv4 and nothing else, as nearly all logs write it."""


def is_plain(text: str) -> bool:
    """Whether `text` is an address of IPv4 and nothing else."""
    return _PLAIN(text) is not None


def address_in(text: str) -> str | None:
    """The address in `text` without port and brackets; None if there is none."""
    return text if _PLAIN(text) else _address_in(text)


@lru_cache(_REMEMBERED)
def _address_in(text: str) -> str | None:
    host = host_of(text.strip())
    return host if host and address_number(host) is not None else None


def hop_in(text: str) -> str | None:
    """The address that one hop of X-Forwarded-For or Forwarded names; None if it names none."""
    start = text.lower().find("for=")
    named = text if start < 0 else text[start + 4 :].partition(";")[0]
    return address_in(named.strip(' "'))


def identity_of(text: str) -> str:
    """The identity of the client at an address, IPv6 grouped; text that is no address is itself."""
    address = address_in(text)
    return text if address is None else client_identity(address)


def is_private(address: str) -> bool:
    """Whether an address, without port and brackets, is one that is not used on the internet."""
    if not is_plain(address):
        return PRIVATE.holds(address_number(address))
    return PRIVATE.holds(_FIRST + int.from_bytes(bytes(map(int, address.split(".")))))
