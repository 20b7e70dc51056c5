"""Partition keys: the key of a client's quota in a store, as one string.

Two steps, so that a store in this process need not build the long form at every hit. `local_key` joins scope and
identity, cheaply, injectively, in bounded length. `partition_key` adds namespace and uid and makes the whole printable,
with exactly one hash tag, which sends all keys of one client to one slot of a Redis Cluster.

No clock, no I/O. A path or a method of a request never enters a key by itself: a client could escape by varying them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError

__all__ = [
    "MAX_LENGTH",
    "as_text",
    "check_pattern",
    "check_uid",
    "escape",
    "local_key",
    "local_of",
    "partition_key",
    "seal",
    "sealed",
    "without_scope",
]

MAX_LENGTH: Final = 128
"""Characters of the longest scope, identity or uid that appears in a key as it is. A longer one is hashed."""

_DIGEST: Final = 40  # characters of a hash
_LEAST: Final = 16  # bytes of a secret; a shorter one can be tried out

# Everything that is not a plain identity begins with "\0", so a plain identity that begins with it is marked too.
_MARK: Final = "\0"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._@/+=:-]")


def local_key(scope: str | None, identity: str) -> str:
    """Scope and identity as one string. Different pairs give different strings.

    Without a scope it is the identity itself, unless the identity is empty, very long or begins with a NUL.
    """
    if scope is None and identity >= "\x01" and len(identity) <= MAX_LENGTH:
        return identity
    if len(identity) > MAX_LENGTH:
        identity = _digest(identity)
        kind = "h"
    else:
        kind = "i"
    if scope is None:
        return f"{_MARK}{kind}{identity}"
    if len(scope) > MAX_LENGTH:
        return f"{_MARK}{kind.upper()}h{_digest(scope)}{identity}"
    return f"{_MARK}{kind.upper()}{len(scope)}:{scope}{identity}"


def without_scope(local: str) -> str:
    """The local key of the same identity without a scope."""
    kind, rest = local[1:2], local[2:]
    if local[:1] != _MARK or kind not in {"I", "H"}:
        return local
    if rest.startswith("h"):
        identity = rest[1 + _DIGEST :]
    else:
        length, _, both = rest.partition(":")
        identity = both[int(length) :]
    return f"{_MARK}h{identity}" if kind == "H" else local_key(None, identity)


def partition_key(namespace: str, uid: str, local: str) -> str:
    """The whole key in a store, ``namespace:uid:{local}``: printable ASCII, at most 6 kB, injective.

    A brace appears nowhere but as the hash tag, and a colon before the uid only as the end of the namespace; so the
    three parts can be read back from the key.
    """
    return f"{_prefix(namespace, uid)}{{{escape(local)}}}"


def as_text(value: object, what: str) -> str:
    """An identity or scope as text.

    Raises:
        TypeError: it is not text, an integer or a UUID. The message calls it `what`.
    """
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)  # of a member of an enumeration, its value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    from uuid import UUID

    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{what} is text, an integer or a UUID, not {describe(value)} ({type(value).__name__})")


def local_of(whole: str) -> str:
    """The local key in a partition key."""
    from urllib.parse import unquote

    return unquote(whole.partition("{")[2].removesuffix("}"), errors="surrogatepass")


def seal(secret: object) -> bytes:
    """A secret prepared for `sealed`: text or bytes of at least 16 bytes.

    Raises:
        ConfigurationError: it is shorter, or neither text nor bytes.
    """
    if not isinstance(secret, bytes | str) or len(secret) < _LEAST:
        raise ConfigurationError(f"a secret is {_LEAST} bytes or more, such as secrets.token_hex(32)")
    # The longest key that the hash takes has 64 bytes.
    return blake2b(secret.encode() if isinstance(secret, str) else secret, person=b"traffik").digest()


def sealed(text: str, seal: bytes) -> str:
    """A keyed hash of `text` (BLAKE2b, 160 bits). Without the secret, the text cannot be guessed from it."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20, key=seal).hexdigest()


def check_pattern(pattern: object) -> str:
    """A pattern of uids (`fnmatch`), once it is known to be valid.

    Raises:
        TypeError: it is not text.
        ValueError: it is empty.
    """
    if not isinstance(pattern, str):
        raise TypeError(f"a group is a pattern of uids, such as 'api:*', not {describe(pattern)}")
    if not pattern:
        raise ValueError("a group is a pattern of uids; '' matches none, and '*' matches all")
    return pattern


def check_uid(uid: object) -> str:
    """`uid`, once it is known to be valid.

    Raises:
        TypeError: it is not text.
        ValueError: it is empty or longer than `MAX_LENGTH`.
    """
    if not isinstance(uid, str):
        raise TypeError(f"a uid is text, not {describe(uid)} ({type(uid).__name__})")
    if not 0 < len(uid) <= MAX_LENGTH:
        raise ValueError(f"a uid has 1 to {MAX_LENGTH} characters, not {len(uid)}: {uid[:MAX_LENGTH]!r}")
    return uid


@lru_cache(1024)
def _prefix(namespace: str, uid: str) -> str:
    return f"{escape(namespace).replace(':', '%3A')}:{escape(uid)}:"


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def escape(text: str) -> str:
    """`text` as it stands in a key: letters, digits and ``._@/+=:-``; anything else as ``%`` and two digits a byte."""
    return _UNSAFE.sub(_percent, text)


def _percent(match: re.Match[str]) -> str:
    return _percent_of(match[0])


@lru_cache(256)
def _percent_of(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
