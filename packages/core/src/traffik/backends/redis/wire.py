"""The protocol of the servers (RESP), as hiredis reads and writes it. Pure: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import hiredis

__all__ = ["MORE", "Command", "ErrorReply", "ProtocolError", "pack", "reader", "shortened"]

Command: TypeAlias = tuple[str | bytes, ...]

MORE: Final = object()
"""What a reader answers that needs more bytes to complete a reply."""

ErrorReply: Final = hiredis.ReplyError
ProtocolError: Final = hiredis.ProtocolError

_pack: Any = hiredis.pack_command  # its annotation knows commands of one word only


def pack(commands: Iterable[Command]) -> bytes:
    """`commands` as they are sent."""
    return b"".join(map(_pack, commands))


def reader() -> hiredis.Reader:
    """Makes replies of the bytes it is fed; an error is a reply too."""
    return hiredis.Reader(notEnoughData=MORE)


def shortened(reply: Any) -> str:
    """A reply as an error shows it."""
    text = repr(reply)
    return text if len(text) <= 100 else f"{text[:100]}…"
