"""Logs as blocks of whole lines in UTF-8, from files and standard input.

The compression (gzip, bzip2, xz, zstd) and the encoding (UTF-8, UTF-16) are detected by the first bytes.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol

import zstandard

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.synthetic import Traffic
from traffik_cli.replay.wrappers import uncoloured

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Bytes", "Made", "Readable", "Source", "Taken", "Text", "is_compressed", "lines_in", "spooled"]

_BLOCK: Final = 1 << 20
_LONGEST: Final = 1 << 23
"""A line longer than this loses its end; so a file without lines does not fill the memory."""

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ"

_PACKED: Final = 1 << 11
"""Bytes of zstd that are unpacked at once, so that not more than 64 MiB can come of them."""

_STDIN: Final = "-"


class Readable(Protocol):
    """A log that can be read, more than once if needed."""

    @property
    def name(self) -> str:
        """Its name in reports."""
        ...

    @property
    def size(self) -> int | None:
        """Bytes as they are stored; None if unknown."""
        ...

    @property
    def in_parts(self) -> bool:
        """Whether it can be read again and may contain several logs, one after another."""
        ...

    def blocks(self, moved: Callable[[int], object]) -> Iterator[bytes]:
        """The content in blocks that end where a line ends; `moved` is called with the stored bytes read since."""
        ...


@dataclass(frozen=True, slots=True)
class Made:
    """A synthetic log.

    Attributes:
        traffic: what it holds.
        name: what it is called.
        size: unknown.
        in_parts: it is one log, in order.
    """

    traffic: Traffic
    name: str = "synthetic"
    size: None = None
    in_parts: bool = False

    def blocks(self, moved: Callable[[int], object]) -> Iterator[bytes]:
        for block in self.traffic.blocks():
            yield block
            moved(len(block))


@dataclass(frozen=True, slots=True)
class Source:
    """A log to read.

    Attributes:
        name: the path, or ``-`` for standard input.
        spool: a file with the content of standard input, to read it again; None to read it once.
    """

    name: str
    spool: IO[bytes] | None = None

    @property
    def size(self) -> int | None:
        """Bytes as they are stored; None if unknown."""
        if self.spool is not None:
            return self.spool.seek(0, io.SEEK_END)
        return None if self.name == _STDIN else Path(self.name).stat().st_size

    @property
    def in_parts(self) -> bool:
        """Whether it is standard input, which may contain several logs one after another."""
        return self.spool is not None

    def blocks(self, moved: Callable[[int], object]) -> Iterator[bytes]:
        """The content in blocks that end where a line ends; `moved` is called with the stored bytes read since.

        Raises:
            ConfigurationError: it cannot be read.
        """
        try:
            raw = self._open()
            with raw:
                yield from lines_in(Text(_plain(raw), self.name), raw, moved)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigurationError(f"cannot read {self.name}: {reason}") from None

    def _open(self) -> _Counted:
        if self.spool is not None:
            self.spool.seek(0)
            return _Counted(self.spool, keep=True)
        if self.name == _STDIN:
            return _Counted(sys.stdin.buffer, keep=True)
        return _Counted(Path(self.name).open("rb"), keep=False)


class _Counted(io.RawIOBase):
    """A file that counts the bytes read. Closing this closes the file, unless it is to be kept."""

    def __init__(self, file: IO[bytes], *, keep: bool) -> None:
        super().__init__()
        self._file = file
        self._keep = keep
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = self._file.read(len(view))
        view[: len(data)] = data
        self.taken += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed and not self._keep:
            self._file.close()
        super().close()


def is_compressed(head: bytes) -> bool:
    """Whether a file begins as a compressed one does."""
    return head.startswith((_GZIP, _BZIP2, _XZ, _ZSTD))


def spooled(names: list[str]) -> list[Source]:
    """Sources that can be read more than once. Standard input is copied to a temporary file."""
    return [Source(name, _spool() if name == _STDIN else None) for name in names]


def _spool() -> IO[bytes]:
    """Copy standard input to a temporary file, and compress it if it is not compressed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the source that holds it
    first = sys.stdin.buffer.read(_BLOCK)
    if is_compressed(first):
        file.write(first)
        shutil.copyfileobj(sys.stdin.buffer, file, _BLOCK)
        return file
    with zstandard.ZstdCompressor(level=1).stream_writer(file, closefd=False) as packed:
        packed.write(first)
        shutil.copyfileobj(sys.stdin.buffer, packed, _BLOCK)
    return file


class Bytes(Protocol):
    """Something to read bytes from."""

    def read(self, size: int, /) -> bytes:
        """About so many bytes; none at the end."""
        ...


class Taken(Protocol):
    """What is read from, and how much of it has been."""

    taken: int


class _Unpacked:
    """Decompresses zstd. Unlike the reader of zstandard, it raises if the last frame is truncated."""

    def __init__(self, file: Bytes) -> None:
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None

    def read(self, size: int) -> bytes:
        """Read about `size` bytes; none at the end."""
        parts: list[bytes] = []
        while size > 0 and (packed := self._file.read(_PACKED)):
            for part in self._unpacked(packed):
                parts.append(part)
                size -= len(part)
        data = b"".join(parts)
        if not data and self._frame is not None:
            raise EOFError("Compressed file ended before the end of its last frame")
        return data

    def _unpacked(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            frame = self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(packed)
            packed = frame.unused_data if frame.eof else b""
            if frame.eof:
                self._frame = None


def _plain(raw: _Counted) -> Bytes:
    """What is in the file, taken out of its compression."""
    buffered = io.BufferedReader(raw, _BLOCK)
    head = buffered.peek(len(_XZ))
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=buffered)
    if head.startswith(_BZIP2):
        return bz2.BZ2File(buffered)
    if head.startswith(_XZ):
        return lzma.LZMAFile(buffered)
    if head.startswith(_ZSTD):
        return _Unpacked(buffered)
    return buffered


_MARKS: Final = ((codecs.BOM_UTF8, None), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
"""Byte order marks and their encodings; None for UTF-8, which is assumed without a mark."""


_ARCHIVES: Final = (
    (0, b"PK\x03\x04", "a zip archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x1f\x9d", "compressed with compress"),
    (0, b"\x04\x22\x4d\x18", "compressed with lz4"),
    (0, b"SQLite format 3\x00", "a database of SQLite"),
    (0, b"PAR1", "a table of Parquet"),
    (0, b"Obj\x01", "a table of Avro"),
    (0, b"ElfFile\x00", "an event log of Windows"),
)
"""Files that hold no lines: where the bytes stand by which they are recognized, these bytes, and what it is."""

_MARK_AMID: Final = (b"\x00", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Text:
    """Text in UTF-8 without a byte order mark, from any encoding.

    Args:
        file: what holds it.
        name: what that is called.

    Raises:
        ConfigurationError: it is an archive or a database.
    """

    def __init__(self, file: Bytes, name: str) -> None:
        self._file = file
        self._name = name
        self._decoder: codecs.IncrementalDecoder | None = None
        self._begun = False

    def read(self, size: int, /) -> bytes:
        """Read about `size` bytes; none at the end."""
        data = self._file.read(size)
        if not self._begun:
            self._begun = True
            data = self._begin(data)
        while self._decoder is not None and data:
            text = self._decoder.decode(data)
            if text:
                return text.encode("utf-8", "surrogatepass")
            data = self._file.read(size)
        return data

    def _begin(self, data: bytes) -> bytes:
        for start, magic, what in _ARCHIVES:
            if data.startswith(magic, start):
                raise ConfigurationError(f"{self._name} is {what}, not a log: extract the log from it first")
        mark, encoding = next((each for each in _MARKS if data.startswith(each[0])), (b"", None))
        head = data.lstrip(b"\x00")[:64]  # a file that was truncated while it was written may begin with zeros
        if not mark and head.count(b"\x00") * 3 > len(head):  # ASCII in UTF-16 without a byte order mark
            encoding = "utf-16-be" if data[:1] == b"\x00" else "utf-16-le"
        if encoding is not None:
            self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        return data[len(mark) :]


def lines_in(plain: Bytes, raw: Taken, moved: Callable[[int], object]) -> Iterator[bytes]:
    """Text in blocks that end where a line ends; `moved` is called with the stored bytes read since.

    Zeros, colours, and byte order marks between joined files are left out. Lines may end with a carriage return.
    """
    rest, told, returns = b"", 0, None
    while block := plain.read(_BLOCK):
        block = _cleaned(block)
        if returns is None:
            returns = b"\n" not in block and b"\r" in block[:-1]
        if returns:
            block = block.replace(b"\r", b"\n")
        if len(rest) > _LONGEST:
            end = block.find(b"\n")
            block = b"" if end < 0 else block[end:]
        cut = block.rfind(b"\n") + 1
        if cut:
            yield rest + block[:cut]
            rest = block[cut:]
        else:
            rest += block
        moved(raw.taken - told)
        told = raw.taken
    if rest:
        yield rest
    moved(raw.taken - told)


def _cleaned(block: bytes) -> bytes:
    if b"\x00" in block:
        for mark in _MARK_AMID:
            block = block.replace(mark, b"")
    # To look for one byte first is many times as fast.
    if b"\xef" in block:
        block = block.replace(codecs.BOM_UTF8, b"")
    return uncoloured(block) if b"\x1b" in block else block
