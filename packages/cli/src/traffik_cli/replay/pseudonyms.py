"""Clients under pseudonyms: a keyed hash in the place of every key and every address, in all that a replay found.

An address is grouped before it is hashed, so that a client has one pseudonym, whichever address of its network it used.
"""

from __future__ import annotations

import re
from base64 import b32encode
from dataclasses import dataclass, fields, is_dataclass, replace
from hashlib import blake2b
from typing import Any, Final, TypeVar

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.addresses import address_in, identity_of
from traffik_cli.replay.detected import Detected, DetectedField
from traffik_cli.replay.keys import KeyReport
from traffik_cli.replay.reports import Longest, Worst
from traffik_cli.replay.tracing import ClientReport

__all__ = ["LEAST", "Pseudonyms"]

_Found = TypeVar("_Found")

LEAST: Final = 16
"""Characters of a key at least: with a key that can be guessed, all addresses can be tried."""

_BYTES: Final = 10
"""Of a hash: among a million clients, two have the same pseudonym with a chance of one in two million millions."""

_KEYS: Final[dict[type, tuple[str, ...]]] = {
    Worst: ("key",),
    Longest: ("key",),
    KeyReport: ("busiest", "inside", "other"),
    ClientReport: ("client",),
}
"""Where a report holds keys of clients, which may be names or tokens."""

_ADDRESS: Final = re.compile(
    r"(?:(?<![\d.:])\d{1,3}(?:\.\d{1,3}){3}"
    r"|(?<![0-9A-Fa-f.:])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?:%\w+)?)(?:/\d{1,3})?(?!\d)"
)


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Gives clients pseudonyms, the same for the same client and key.

    Args:
        key: of the hash, at least 16 characters.

    Raises:
        ConfigurationError: the key is too short.
    """

    key: str

    def __post_init__(self) -> None:
        if len(self.key) < LEAST:
            raise ConfigurationError(
                f"a key of {len(self.key)} characters can be guessed: give --anonymise-key {LEAST} or more"
            )

    def of(self, client: str) -> str:
        """The pseudonym of a client, by its key or by any of its addresses."""
        identity = identity_of(client.removesuffix("/64")).encode("utf-8", "surrogatepass")
        secret = blake2b(self.key.encode("utf-8", "surrogatepass")).digest()
        digest = blake2b(identity, key=secret, digest_size=_BYTES).digest()
        return f"client-{b32encode(digest).decode().lower()}"

    def text(self, text: str) -> str:
        """A text with a pseudonym in the place of every address in it; the key itself is left out too."""
        return _ADDRESS.sub(self._of_match, text.replace(self.key, "…"))

    def _of_match(self, match: re.Match[str]) -> str:
        address = match[0].partition("/")[0]
        plain = address if address_in(address) is not None else address.rstrip(":.")  # a sign of the sentence
        return match[0] if address_in(plain) is None else self.of(plain) + address[len(plain) :]

    def told(self, found: _Found) -> _Found:
        """All that was found, with pseudonyms; `found` is made of dataclasses, named tuples, lists, dicts and text."""
        told: _Found = self._told(found)
        return told

    def _told(self, found: Any) -> Any:
        if isinstance(found, str):
            return self.text(found)
        if isinstance(found, list):
            return [self._told(each) for each in found]
        if isinstance(found, dict):
            return {self._told(name): self._told(each) for name, each in found.items()}
        if hasattr(found, "_fields"):
            return found._make(map(self._told, found))
        if is_dataclass(found) and not isinstance(found, type):
            return self._object(found)
        return found

    def _object(self, found: Any) -> Any:
        keys = _KEYS.get(type(found), ())
        values = {each.name: getattr(found, each.name) for each in fields(found)}
        named = {name: self._key(value) if name in keys else self._told(value) for name, value in values.items()}
        if isinstance(found, Detected) and found.client is not None:
            named["client"] = self._client(found.client)
        return replace(found, **named)

    def _key(self, key: str | None) -> str | None:
        return None if key is None else self.of(key)

    def _client(self, client: DetectedField) -> DetectedField:
        """The example of a client. What else stands in its field may name it too, and is left out."""
        name = self.of(str(client.value))
        return replace(client, field=self.text(client.field), text=name, value=name)
