"""How states are written in the file: a head with a tag, a deadline and a checksum, then the state as it is marshalled.

The tag says which family of plans can read the state, and in which version of the writing. A value that cannot be read
counts as none. Nobody else can write to the file, so what passes the checksum is what this store has written.
"""

from __future__ import annotations

import marshal
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

if TYPE_CHECKING:
    from traffik.strategies import Plan, State

__all__ = [
    "BUCKET",
    "FIRST",
    "FORMAT",
    "HEAD",
    "LONGEST",
    "PREFIX",
    "check_storable",
    "key_in",
    "key_of",
    "lapse_of",
    "prefix_of",
    "readable",
    "tag_for",
    "text_of",
    "written",
]

HEAD: Final = Struct("=8sqI")
"""Before every state: the tag, µs on the file's clock at which the state lapses, and the checksum of the rest."""

FORMAT: Final = 2
"""The version of `marshal` that is written: every Python reads it, and workers need not all be of one version."""
FIRST: Final = b"s"
"""What the keys of all states begin with."""

PREFIX: Final = 16
"""The length of what comes before a local key: the first letter, and the hashes of namespace and uid."""

BUCKET: Final = b"\xff\x00"
"""What comes there instead in the key of an overflow bucket; never in UTF-8."""

LONGEST: Final = 256
"""Bytes of a local key that stands as it is; a longer one stands as its hash."""

_NEVER: Final = 2**63 - 1
_LONG: Final = b"\xff\x01"  # never in UTF-8
_PLAIN: Final = frozenset({int, float, str, bool, type(None)})


def tag_for(plan: Plan) -> bytes:
    """The tag of the states that `plan` can read."""
    return blake2b(b"1:" + plan.family.encode(), digest_size=8).digest()


def written(plan: Plan, tag: bytes, lapses: int, state: State) -> bytes:
    """`state` as a value.

    Raises:
        TypeError: something in it is neither a tuple nor a number, text, truth value or None.
    """
    if plan.twins is None:  # a strategy of somebody else's
        check_storable(state, plan)
        lapses = min(lapses, _NEVER)
    body = marshal.dumps(state, FORMAT)
    return HEAD.pack(tag, lapses, crc32(body)) + body


def readable(value: bytes | None, tag: bytes) -> State | None:
    """The state in a value; None if it is none under this tag."""
    if value is None or len(value) <= HEAD.size:
        return None
    found, _, checksum = HEAD.unpack_from(value)
    body = value[HEAD.size :]
    if found != tag or checksum != crc32(body):
        return None
    state: State = marshal.loads(body)  # noqa: S302 - its checksum and the file's mode say that it is our own
    return state


def lapse_of(value: bytes) -> int:
    """When a value lapses; one that is none of ours has."""
    lapses: int = HEAD.unpack_from(value)[1] if len(value) > HEAD.size else 0
    return lapses


def check_storable(part: Any, plan: Plan) -> None:
    """See that a state can be written.

    Raises:
        TypeError: something in it is neither a tuple nor a number, text, truth value or None.
    """
    if type(part) is tuple:
        for each in part:
            check_storable(each, plan)
    elif type(part) not in _PLAIN:
        raise TypeError(
            f"the state of {plan.strategy!r} holds {part!r} ({type(part).__name__}), which cannot be stored in LMDB: "
            f"make it of tuples, numbers, text, truth values and None"
        )


def prefix_of(namespace: str, uid: str | None = None) -> bytes:
    """What all keys of a namespace, or of one uid in it, begin with."""
    prefix = FIRST + _digest(namespace, 7)
    return prefix if uid is None else prefix + _digest(uid, 8)


def text_of(key: str) -> bytes:
    """A local key as bytes; different ones give different bytes."""
    try:
        return key.encode()
    except UnicodeEncodeError:
        return key.encode("utf-8", "surrogatepass")


def key_of(text: bytes) -> str | None:
    """The local key that stands in the file as `text`; None if only its hash does, or it is a bucket's."""
    return None if text.startswith(b"\xff") else text.decode("utf-8", "surrogatepass")


def key_in(prefix: bytes, text: bytes) -> bytes:
    """A local key, as bytes, under the prefix of its uid, short enough for LMDB."""
    return prefix + (text if len(text) <= LONGEST else _LONG + blake2b(text, digest_size=32).digest())


def _digest(text: str, size: int) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()
