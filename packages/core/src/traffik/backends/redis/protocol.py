"""The protocol of the servers (RESP), as hiredis reads and writes it. Pure: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import hiredis

from traffik.backends.redis.settings import Endpoint
from traffik.model.errors import BackendError

__all__ = ["MORE", "UNREADABLE", "Command", "ErrorReply", "pack", "reader", "shortened", "unreadable"]

Command: TypeAlias = tuple[str | bytes, ...]

MORE: Final = object()
"""Returned by a reader that needs more bytes to complete a reply."""

ErrorReply: Final = hiredis.ReplyError

UNREADABLE: Final = (hiredis.ProtocolError, TypeError)
"""Raised by a reader for bytes that are no RESP. The TypeError is for a map whose keys cannot be hashed."""

_pack: Any = hiredis.pack_command  # its annotation knows commands of one word only


def pack(commands: Iterable[Command]) -> bytes:
    """`commands` as they are sent."""
    return b"".join(map(_pack, commands))


def reader() -> hiredis.Reader:
    """Turns the bytes it is fed into replies. An error is a reply too."""
    return hiredis.Reader(notEnoughData=MORE)


def unreadable(endpoint: Endpoint, error: Exception) -> BackendError:
    """The error for bytes from `endpoint` that are no RESP."""
    return BackendError(f"{endpoint} does not speak the protocol of Redis ({error})", maybe_executed=True)


def shortened(reply: Any) -> str:
    """A reply as an error shows it."""
    text = repr(reply)
    return text if len(text) <= 100 else f"{text[:100]}…"
