"""Whose quota a logged request takes: the text after ``--key``, and what it picks out of a line.

``ip`` is the address, grouped as a throttle does it; ``header:NAME`` and ``field:NAME`` are taken as they stand;
``regex:PATTERN`` is the first group (or all) of what matches in the line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from traffik.clients import client_identity
from traffik.errors import ConfigurationError

__all__ = ["Selector", "identity_of", "selector"]

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
        raise ConfigurationError(f"{text!r} is no key: {_GRAMMAR}")
    if kind == "regex":
        try:
            re.compile(name.encode())
        except re.error as error:
            raise ConfigurationError(f"{text!r} is no key: the pattern does not compile: {error}") from None
    return Selector(kind, name)


def identity_of(chosen: Selector, raw: bytes) -> bytes:
    """The identity that `raw`, as it stands in the log, means."""
    if chosen.kind != "ip" or b":" not in raw:
        return raw
    return client_identity(raw.decode("utf-8", "replace")).encode()
