"""Which format a log is in: told, or seen at its first line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.batches import LineReader, Wanted
from traffik_cli.replay.clf import CommonLog, looks_common
from traffik_cli.replay.tables import CsvTable, Fields, JsonLines, looks_json, sniffed

__all__ = ["FORMATS", "Format", "OpenedFormat"]

FORMATS: Final = ("auto", "combined", "common", "json", "csv")
"""The names of the formats; the first finds out."""


@dataclass(frozen=True, slots=True)
class Format:
    """How to read a log.

    Attributes:
        name: one of `FORMATS`.
        wanted: what is to be read of every line.
        fields: where it stands in JSON and CSV.
    """

    name: str
    wanted: Wanted
    fields: Fields = field(default_factory=Fields)

    def open(self, head: bytes) -> OpenedFormat:
        """The reader for a log that begins with `head`, which holds some whole lines or all there is.

        Raises:
            ConfigurationError: no format was recognised, or what is wanted is not in it.
        """
        lines = [line for line in head.split(b"\n") if line.strip()]
        name = self._guess(lines) if self.name == "auto" else self.name
        if name == "json":
            return OpenedFormat(name, JsonLines(self.wanted, self.fields), 0)
        if name != "csv":
            return OpenedFormat(name, CommonLog(self.wanted), 0)
        first = lines[0] if lines else b""
        found = sniffed(first)
        if found is None:
            raise ConfigurationError(f"the first line of a CSV names its columns, and {first[:80]!r} names none")
        delimiter, columns = found
        # Blank lines in front of it go with it.
        skipped = head.index(first) + len(first) + 1
        return OpenedFormat(name, CsvTable(self.wanted, self.fields, delimiter, tuple(columns)), skipped)

    def _guess(self, lines: list[bytes]) -> str:
        for line in lines[:100]:  # the first few may be malformed
            if looks_common(line):
                return "combined"
            if looks_json(line):
                return "json"
        first = lines[0] if lines else b""
        found = sniffed(first)
        if found is not None and {name.lower() for name in found[1]} & {*self.fields.names("time")}:
            return "csv"
        if not lines:
            return "combined"  # nothing to read, in any format
        raise ConfigurationError(
            f"this is no log in a known format (Common or Combined Log Format, JSON lines, CSV that names its "
            f"columns): it begins with {first[:80]!r}; say which with --format"
        )


@dataclass(frozen=True, slots=True)
class OpenedFormat:
    """A log whose format is known.

    Attributes:
        format: its name.
        reader: what reads it.
        skipped: bytes at its beginning that are no lines of it: the names of columns.
    """

    format: str
    reader: LineReader
    skipped: int
