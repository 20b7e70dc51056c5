"""The protocol of the servers (RESP), read and written by hiredis. Pure: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import hiredis

from traffik.backends.redis.settings import Endpoint
from traffik.model.errors import BackendError

__all__ = ["MORE", "UNREADABLE", "Command", "ErrorReply", "error_text", "pack", "reader", "shortened", "unreadable"]

Command: TypeAlias = tuple[str | bytes, ...]

MORE: Final = object()
"""Returned by a reader that needs more bytes to complete a reply."""

ErrorReply: Final = hiredis.ReplyError

UNREADABLE: Final = (hiredis.ProtocolError, TypeError)
"""Raised by a reader for bytes that are not RESP. The TypeError is for a map whose keys cannot be hashed."""

_pack: Any = hiredis.pack_command  # its type annotation allows only commands of one word


def pack(commands: Iterable[Command]) -> bytes:
    """The bytes to send for `commands`."""
    return b"".join(map(_pack, commands))


def reader() -> hiredis.Reader:
    """A new reader, which turns bytes into replies. An error is a reply too."""
    return hiredis.Reader(notEnoughData=MORE)


def error_text(reply: Any) -> str:
    """The text of an error, without the arguments (a password, or keys) that a server repeats of unknown commands."""
    return str(reply).partition(", with args beginning with")[0]


def unreadable(endpoint: Endpoint, error: Exception) -> BackendError:
    """The error for bytes from `endpoint` that are not RESP."""
    return BackendError(f"{endpoint} does not speak the protocol of Redis ({error})", maybe_executed=True)


def shortened(reply: Any) -> str:
    """A reply as text for error messages."""
    text = error_text(reply) if isinstance(reply, ErrorReply) else repr(reply)
    return text if len(text) <= 100 else f"{text[:100]}…"
