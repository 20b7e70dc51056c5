"""Whose quota a logged request takes: the text after ``--key``, and what it picks out of a line.

``ip`` is the address, grouped as a throttle does it. ``header:NAME`` is a header, or the address where there is none,
so leaving it out gains nothing. ``field:NAME`` is a field as it stands; ``regex:PATTERN`` the first group (or
all) of what matches in the line. An address in any of them loses its port, and IPv6 counts by /64. A line
without a key is not limited.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.addresses import NO_ADDRESS, identity_of

__all__ = ["Selector", "header_fields", "header_key", "identity_in", "is_address", "is_nothing", "selector"]

_KINDS: Final = ("ip", "header", "field", "regex")
_GRAMMAR: Final = 'a key is "ip", "header:NAME", "field:NAME" or "regex:PATTERN"'


@dataclass(frozen=True, slots=True)
class Selector:
    """One way to pick a key.

    Attributes:
        kind: ``ip``, ``header``, ``field`` or ``regex``.
        name: the header, the field or the pattern; empty for ``ip``.
    """

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


def selector(text: str) -> Selector:
    """The selector that `text` spells.

    Raises:
        ConfigurationError: it is none; the message shows the grammar.
    """
    kind, _, name = text.partition(":")
    if kind not in _KINDS or (kind == "ip") != (not name):
        raise ConfigurationError(f"{text!r} is not a key: {_GRAMMAR}")
    if kind == "regex":
        try:
            re.compile(name.encode())
        except re.error as error:
            raise ConfigurationError(f"{text!r} is not a key: the pattern does not compile: {error}") from None
    return Selector(kind, name)


def header_key(name: str, value: bytes) -> bytes:
    """The key of a client that sent the header `name`."""
    return b"header:%s:%s" % (name.lower().encode(), value)


def header_fields(name: str) -> tuple[str, ...]:
    """The fields in which a log may hold the header `name`."""
    plain = name.lower().replace("-", "_")
    known = {"user_agent": ("agent",), "x_forwarded_for": ("forwarded",)}.get(plain, ())
    spelled = (name, name.lower(), name.title())
    return (f"http_{plain}", *spelled, plain, *(f"cs({each})" for each in spelled), f"cs-{name.lower()}", *known)


def is_nothing(chosen: Selector, raw: bytes | None) -> bool:
    """Whether `raw` means that there is no key."""
    if not raw or raw == b"-":
        return True
    return chosen.kind in {"ip", "header"} and raw.decode("utf-8", "replace").lower() in NO_ADDRESS


def is_address(chosen: Selector, raw: bytes) -> bool:
    """Whether `raw` may be an address that means the same as another: IPv6, or with a port."""
    if b":" not in raw and raw[:1] != b"[":
        return False
    return chosen.kind != "header" or not raw.startswith(header_key(chosen.name, b""))


def identity_in(chosen: Selector, raw: bytes) -> bytes:
    """The identity that `raw`, as it stands in the log, means."""
    return identity_of(raw.decode("utf-8", "replace")).encode() if is_address(chosen, raw) else raw
