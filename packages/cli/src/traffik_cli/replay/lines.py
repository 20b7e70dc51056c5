"""Makes records of lines: objects of JSON, values between delimiters, pairs of names and values, words in a row."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypedDict

import msgspec

from traffik_cli.replay.records import Parse, Record
from traffik_cli.replay.times import SPACED

__all__ = ["Columns", "JsonObject", "Labels", "Pairs", "Pattern", "Words", "columns_of", "narrowed"]

_PAIR: Final = re.compile(
    rb"(?<![^\s,;|])(?P<name>[A-Za-z_@][\w.@/-]*)="
    rb"(?P<value>\"(?:[^\"\\]|\\.)*\"|'[^'=]*'(?=[\s,;]|\Z)|" + SPACED.encode() + rb"|[^\s\"]*)"
)
_WORD: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|\[[^\]\[]*\]|\([^()\s]*\)|[^\s"]\S*')
_DECODE: Final = json.JSONDecoder().decode
_ESCAPE: Final = re.compile(rb"\\(.)")
_HEX: Final = re.compile(r"(\\[^x])|((?:\\x[0-9A-Fa-f]{2})+)")
_NO_VALUE: Final = re.compile(r":\s*-?(?=\s*[,}])")
_COMMA: Final = re.compile(r",(?=\s*\})")
_LABEL: Final = re.compile(rb"[A-Za-z_][\w.-]*:")


@dataclass(frozen=True, slots=True)
class JsonObject:
    """An object of JSON, perhaps with the comma behind it that an array has.

    Attributes:
        only: the fields that a record holds, if the object has them; dots lead into nested objects. The others are
            checked and skipped, which is several times as fast. None for all fields.
        columns: empty: any record may have any fields.
    """

    only: tuple[str, ...] | None = None
    columns: tuple[str, ...] = field(default=(), init=False)
    _decode: Callable[[bytes], dict[str, Any]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_decode", _decoder(self.only))

    def __reduce__(self) -> tuple[type[JsonObject], tuple[tuple[str, ...] | None]]:
        return JsonObject, (self.only,)  # a decoder is not sent to other processes

    def __call__(self, line: bytes) -> Record | str:
        try:
            return self._decode(line)
        except (ValueError, RecursionError):  # also for what Python takes: NaN, broken UTF-8, a comma behind it
            return _patient(line)

    def all(self, lines: Sequence[bytes]) -> Sequence[Record] | None:
        """The records of all lines; None if one of them is not strictly an object of JSON."""
        try:
            return list(map(self._decode, lines))
        except (ValueError, RecursionError):
            return None


def narrowed(parse: Parse, names: Iterable[str]) -> Parse:
    """The same parser, whose records need no other fields than these."""
    return JsonObject(tuple(dict.fromkeys(names))) if isinstance(parse, JsonObject) else parse


@lru_cache(16)
def _decoder(only: tuple[str, ...] | None) -> Callable[[bytes], dict[str, Any]]:
    return msgspec.json.Decoder(dict[str, Any] if only is None else _shape(only)).decode


def _shape(names: Iterable[str]) -> Any:
    """The type of an object of which only these fields are read."""
    # The name of a field that is no UTF-8 is in no object that is strictly JSON.
    found: dict[str, Any] = {name: Any for name in names if name.encode("utf-8", "ignore").decode() == name}
    inner: dict[str, list[str]] = {}
    for name in found:
        head, dot, rest = name.partition(".")
        if dot and head not in found:
            inner.setdefault(head, []).append(rest)
    for head, rests in inner.items():
        found[head] = _shape(rests) | str | int | float | bool | list[Any] | None
    return TypedDict("Shape", found, total=False)  # type: ignore[operator]  # the names are known when a log is read


def _patient(line: bytes) -> Record | str:
    """An object that is not strictly JSON, or what is wrong with it."""
    text = line.rstrip().removesuffix(b",").decode("utf-8", "replace")
    try:
        found = _DECODE(text)
    except (ValueError, RecursionError) as error:
        try:
            found = _DECODE(_mended(text))
        except (ValueError, RecursionError):
            return f"no JSON: {error}"
    return found if isinstance(found, dict) else "no object"


def _mended(text: str) -> str:
    """Text in which servers that write JSON by a template left out a value, or escaped characters in their own way."""
    return _COMMA.sub("", _NO_VALUE.sub(":null", _HEX.sub(_characters, text)))


def _characters(match: re.Match[str]) -> str:
    return match[1] or json.dumps(bytes.fromhex(match[2].replace("\\x", "")).decode("utf-8", "replace"))[1:-1]


@dataclass(frozen=True, slots=True)
class Columns:
    """Values between delimiters, under names.

    Attributes:
        delimiter: one character; a space stands for any run of spaces.
        columns: the names.
        comment: how lines begin that are none of the table's; empty if none does.
        header: the line that names the columns, where it may come again; empty if it does not.
    """

    delimiter: str
    columns: tuple[str, ...]
    comment: bytes = b""
    header: bytes = b""

    def __call__(self, line: bytes) -> Record | str:
        if (self.comment and line.startswith(self.comment)) or line == self.header:
            return ""
        text = line.decode("utf-8-sig", "replace")
        try:
            values = next(csv.reader([text], delimiter=self.delimiter, skipinitialspace=True), [])
        except csv.Error as error:
            return f"no CSV: {error}"
        if len(values) != len(self.columns):
            return f"{len(values)} columns, not {len(self.columns)}"
        if self.comment:  # W3C's format writes a space as a plus
            return dict(zip(self.columns, (value.replace(",+", ", ") for value in values), strict=True))
        return dict(zip(self.columns, map(str.strip, values), strict=True))


def columns_of(line: bytes) -> tuple[str, list[str]] | None:
    """The delimiter and the values of a line of CSV; None if it has no two values."""
    text = line.decode("utf-8-sig", "replace").rstrip("\r\n")
    best: tuple[str, list[str]] | None = None
    for delimiter in (",", ";", "\t", "|"):
        try:
            names = [name.strip() for name in next(csv.reader([text], delimiter=delimiter), [])]
        except csv.Error:  # such as a line break of old inside of it, or too long a name
            continue
        if len(names) > (len(best[1]) if best else 1):
            best = delimiter, names
    return best


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names and values, as logfmt has them: ``method=GET path="/a"``. What stands between them is passed over.

    Attributes:
        columns: empty: any record may have any fields.
    """

    columns: tuple[str, ...] = ()

    def __call__(self, line: bytes) -> Record | str:
        found: dict[str, Any] = {}
        for name, value in _PAIR.findall(line):
            inner = _ESCAPE.sub(rb"\1", value[1:-1]) if value[:1] in {b'"', b"'"} else value
            found[name.decode()] = inner
        return found if len(found) > 1 else "no name=value pairs"


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels and values between tabs, as LTSV has them: ``method:GET``, a tab, ``path:/a``.

    Attributes:
        columns: empty: any record may have any fields.
    """

    columns: tuple[str, ...] = ()

    def __call__(self, line: bytes) -> Record | str:
        parts = line.split(b"\t")
        if len(parts) < 2 or not all(map(_LABEL.match, parts)):
            return "no label:value between tabs"
        pairs = (part.partition(b":") for part in parts)
        return {label.decode(): value for label, _, value in pairs}


@dataclass(frozen=True, slots=True)
class Pattern:
    """Named groups of a pattern that the beginning of a line matches.

    Attributes:
        pattern: the pattern.
        others: matches lines that are passed over; None if none are.
    """

    pattern: re.Pattern[bytes]
    others: re.Pattern[bytes] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(self.pattern.groupindex)

    def __call__(self, line: bytes) -> Record | str:
        match = self.pattern.match(line)
        if match is not None:
            return match.groupdict()
        return "" if self.others is not None and self.others.fullmatch(line) else "it does not match the format"


@dataclass(frozen=True, slots=True)
class Words:
    """Words in a row, under their numbers from 1; quotes and brackets hold a word together.

    Attributes:
        columns: empty: lines may have any number of them.
    """

    columns: tuple[str, ...] = ()

    def __call__(self, line: bytes) -> Record | str:
        words = _WORD.findall(line)
        return {str(place): _bare(word) for place, word in enumerate(words, 1)} if len(words) > 1 else "one word"


def _bare(word: bytes) -> bytes:
    return word[1:-1] if len(word) > 1 and word[:1] in b'"[(' else word
