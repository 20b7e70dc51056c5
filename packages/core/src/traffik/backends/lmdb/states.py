"""The format of keys and states in a file.

A state is written behind a tag, the time at which it expires, and a checksum. The tag names the family of plans that
can read the state. A value that cannot be read counts as no state. Only this user can write to the file, so a value
with the right checksum was written by this store, and is safe to unmarshal.
"""

from __future__ import annotations

import marshal
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from traffik.backends.postings import LimitAccount

if TYPE_CHECKING:
    from traffik.backends.base import Backend
    from traffik.strategies import Kernel, Plan, State

__all__ = ["BUCKET", "FIRST", "HEAD", "PREFIX", "Account", "expiry_of", "key_of", "name_of", "prefix_of", "text_of"]

HEAD: Final = Struct("=8sqI")
"""The start of a value: the tag, the expiry in µs on the clock of the file, the checksum of the rest."""

_HEAD: Final = HEAD.size
_pack, _unpack = HEAD.pack, HEAD.unpack_from

FIRST: Final = b"s"
"""The first byte of the name of every state."""

PREFIX: Final = 16
"""Bytes of a name before the local key: the first one, and the hashes of the namespace and the uid."""

BUCKET: Final = b"\xff\x00"
"""The byte after the prefix in the name of an overflow bucket. It is never valid UTF-8."""

_LONG: Final = b"\xff\x01"  # never valid UTF-8
_LONGEST: Final = 256  # bytes of the longest local key that is written as it is; a longer one is written as its hash
_FORMAT: Final = 2  # the version of `marshal`: every Python reads it, so workers may run different ones
_LATEST: Final = 2**63 - 1
_PLAIN: Final = frozenset({int, float, str, bool, type(None)})


class Account(LimitAccount):
    """One limit in the files: how its states are written, and the keys (`max_keys`) from which a file takes no more."""

    __slots__ = ("_custom", "_readable", "_tag", "kernel", "max_keys", "prefix")

    def __init__(self, store: Backend, uid: str, plan: Plan, max_keys: int) -> None:
        super().__init__(store, uid, plan)
        self.max_keys: int = max_keys
        self.prefix: bytes = prefix_of(store.namespace, uid)
        self.kernel: Kernel = plan.kernel
        self._tag = _tag_of(plan.family)
        self._readable = self._tag, *map(_tag_of, plan.siblings)
        self._custom = plan.twins is None

    def read(self, value: bytes | None) -> State | None:
        """The state in a value; None if there is none that this plan can read."""
        if value is None or len(value) <= _HEAD:
            return None
        body = value[_HEAD:]
        tag, _, checksum = _unpack(value)
        if checksum != crc32(body) or tag not in self._readable:
            return None
        state: State = marshal.loads(body)  # noqa: S302 - see above
        return state if tag == self._tag else self.plan.from_sibling(state)

    def write(self, state: State, expiry: int) -> bytes:
        """The value for a state, or TypeError if the state holds something that cannot be stored."""
        if self._custom:
            _check_storable(state, self.plan)
            expiry = min(expiry, _LATEST)
        body = marshal.dumps(state, _FORMAT)
        return _pack(self._tag, expiry, crc32(body)) + body


def _tag_of(family: str) -> bytes:
    return blake2b(b"1:" + family.encode(), digest_size=8).digest()


def expiry_of(value: bytes) -> int:
    """When a value expires, in µs on the clock of the file; 0 if it is not a state."""
    expiry: int = HEAD.unpack_from(value)[1] if len(value) > HEAD.size else 0
    return expiry


def prefix_of(namespace: str, uid: str | None = None) -> bytes:
    """The first bytes of all names of a namespace, or of one uid in it."""
    prefix = FIRST + _digest(namespace, 7)
    return prefix if uid is None else prefix + _digest(uid, 8)


def text_of(key: str) -> bytes:
    """A local key as bytes; different keys give different bytes."""
    try:
        return key.encode()
    except UnicodeEncodeError:
        return key.encode("utf-8", "surrogatepass")


def name_of(prefix: bytes, text: bytes) -> bytes:
    """The name of the state of a local key, given as bytes; short enough for LMDB."""
    return prefix + (text if len(text) <= _LONGEST else _LONG + blake2b(text, digest_size=32).digest())


def key_of(name: bytes) -> str | None:
    """The local key in a name; None if the name holds a hash, or is that of a bucket."""
    text = name[PREFIX:]
    return None if text.startswith(b"\xff") else text.decode("utf-8", "surrogatepass")


def _check_storable(part: Any, plan: Plan) -> None:
    if type(part) is tuple:
        for each in part:
            _check_storable(each, plan)
    elif type(part) not in _PLAIN:
        raise TypeError(
            f"the state of {plan.strategy!r} holds {part!r} ({type(part).__name__}), which cannot be stored in LMDB: "
            f"a state consists of tuples, numbers, text, bools and None"
        )


def _digest(text: str, size: int) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()
