"""The format of a log: named by the user, or detected from the first lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from traffik.identities.proxies import Proxies
from traffik.model.errors import ConfigurationError
from traffik_cli.replay.addresses import address_in, hop_in, is_private
from traffik_cli.replay.batches import LineReader, Wanted
from traffik_cli.replay.clf import COMMON, CommonLines, CommonLog, is_quick
from traffik_cli.replay.clients import PRIVATE_PROXIES
from traffik_cli.replay.detected import Detected, detected_of
from traffik_cli.replay.known import NAMED, RECORDS, TEXTS
from traffik_cli.replay.lines import JsonObject, Pairs, Pattern, narrowed
from traffik_cli.replay.reader import RecordReader, fields_read
from traffik_cli.replay.recognition import Search, Seen, Shape
from traffik_cli.replay.records import Fields, Layout, Record, first_of, text_of
from traffik_cli.replay.roles import Sample
from traffik_cli.replay.selectors import header_fields
from traffik_cli.replay.templates import pattern_of, template_of
from traffik_cli.replay.times import UTC, Calendar, day_comes_first, instant

__all__ = ["FORMATS", "Format", "OpenedFormat"]

FORMATS: Final = ("auto", *NAMED)
"""The names of the formats; the first finds out."""

_LINES: Final = 200
"""Lines that are looked at: the first ones, and some of those behind them."""

_MOST_LINES: Final = 3_000
"""Lines that are looked at if the first ones are of no format, such as the messages of a server that starts."""

_KINDS: Final = {
    **{known.name: "json" for known in RECORDS},
    "common": "combined",
    "gunicorn": "combined",
    "iis": "w3c",
    "cloudfront": "w3c",
    "w3c": "w3c",
    "heroku": "logfmt",
}
"""The shapes that formats have, where those are called otherwise."""


@dataclass(frozen=True, slots=True)
class Format:
    """How to read a log.

    Attributes:
        name: one of `FORMATS`.
        wanted: what is to be read of every line.
        fields: where it stands.
        trusted: the proxies that may name the client; None if the user named none.
        assume: whether private addresses are taken for proxies where the log has a client behind them.
        calendar: fills in what times do not say.
        template: the format as in the configuration of nginx or Apache; None if the user gave none.
        pattern: a pattern with named groups; None if the user gave none.
        spacing: µs from line to line where lines have no time; None to take all of them for one instant in a format
            that never has times, and to refuse others.
    """

    name: str
    wanted: Wanted = Wanted(())  # noqa: RUF009 - it is frozen
    fields: Fields = field(default_factory=Fields)
    trusted: Proxies | None = None
    assume: bool = True
    calendar: Calendar = UTC
    template: str | None = None
    pattern: str | None = None
    spacing: int | None = None

    def open(self, head: bytes) -> OpenedFormat:
        """The reader for a log that begins with `head`, which holds some whole lines or all there is.

        Raises:
            ConfigurationError: no format was recognised, or what is wanted is not in it.
        """
        lines = [line.strip() for line in head.split(b"\n", _MOST_LINES)[:_MOST_LINES] if line.strip()]
        lines = _of_one_table(lines)
        return self._dated(lines)._read(lines)

    def _dated(self, lines: Sequence[bytes]) -> Format:
        """The same, for a log whose dates begin with the day or with the month, if its first lines show that."""
        if self.calendar.day_first is not None:
            return self
        day_first = day_comes_first(b"\n".join(lines).decode("utf-8", "replace"))
        return replace(self, calendar=replace(self.calendar, day_first=day_first))

    def _read(self, lines: Sequence[bytes]) -> OpenedFormat:
        some = _some(lines)
        search = Search(some, self.fields, self.wanted.selectors, self.calendar)
        given = self._given()
        seen = search.seen(given) if given is not None else self._seen(search, lines)
        return self._opened(seen, some)

    def _given(self) -> Shape | None:
        """The shape that the user has described."""
        if self.template is not None:
            return Shape("log-format", Pattern(pattern_of(template_of(self.template))))
        if self.pattern is None:
            return None
        try:
            pattern = re.compile(self.pattern.encode(), re.DOTALL)
        except re.error as error:
            raise ConfigurationError(f"the pattern does not compile: {error}") from None
        if not pattern.groupindex:
            raise ConfigurationError("the pattern has no named groups: write (?P<ip>…), (?P<time>…), (?P<request>…)")
        return Shape("pattern", Pattern(pattern))

    def _seen(self, search: Search, lines: Sequence[bytes]) -> Seen:
        """The first lines in the shape that explains them best; more of them if they are all of another kind."""
        only = "" if self.name == "auto" else _KINDS.get(self.name, self.name)
        seen = replace(search, only=only).best()
        if seen is None and len(lines) > _LINES:
            seen = replace(search, only=only, lines=lines).best()
        if seen is not None:
            return seen
        first = search.lines[0] if search.lines else b""
        if only == "csv" and search.lines:
            raise ConfigurationError(f"the first line of a CSV names its columns, and {first[:80]!r} names none")
        if only or not search.lines:
            return search.seen(_default(only or "combined"))
        wrong = JsonObject()(first) if first[:1] == b"{" else None
        broken = (
            f" It is {wrong} (nginx escapes values if log_format has escape=json)." if isinstance(wrong, str) else ""
        )
        raise ConfigurationError(
            f"the format of this log is unknown: it begins with {first[:80]!r}.{broken} Name the "
            f"format with --format, or describe it with --log-format or --pattern"
        )

    def _opened(self, seen: Seen, lines: Sequence[bytes]) -> OpenedFormat:
        self._check(seen)
        shape, layout = seen.shape, seen.layout
        if isinstance(shape.parse, CommonLines):
            layout = replace(COMMON, forwarded=layout.forwarded or _fronted(seen.sample))
            seen = replace(seen, layout=layout)
        proxies = self._proxies(seen)
        kinds = [chosen.kind for chosen in self.wanted.selectors]
        plain = not shape.wrappers and isinstance(shape.parse, CommonLines) and not shape.parse.vhost
        spacing = None if layout.time or seen.stamped or not seen.records else self._spaced(seen)
        parse = narrowed(shape.parse, fields_read(self.wanted, layout))
        reader = RecordReader(self.wanted, parse, layout, shape.wrappers, proxies, self.calendar, spacing)
        named = self._named(seen) if proxies is None else "given" if self.trusted is not None else "assumed"
        detected = detected_of(shape.name, reader, seen.records, named)
        if plain and proxies is None and kinds == ["ip"] and sum(map(is_quick, lines)) * 2 >= len(lines):
            return OpenedFormat(detected, CommonLog(self.wanted, self.calendar))
        header = next((line for line in lines if line.startswith(b"#Fields:")), b"")
        return OpenedFormat(detected, reader, spacing, header)

    def _spaced(self, seen: Seen) -> int:
        """µs between lines that have no time."""
        if self.spacing is None and not any(known.name == seen.shape.name for known in TEXTS):
            raise ConfigurationError(_no_time(seen.sample, self.calendar))
        return self.spacing or 0

    def _proxies(self, seen: Seen) -> Proxies | None:
        """Whom to trust to name the client."""
        forwarded, client = seen.layout.forwarded, seen.layout.client
        if self.trusted is not None:
            if not forwarded and seen.records and not seen.sample.lists(client):
                raise ConfigurationError(
                    f"no field holds X-Forwarded-For, so that --trusted-proxies has nothing to read: there are "
                    f"{', '.join(seen.sample.columns)}; name it with --forwarded-field"
                )
            return self.trusted
        if not self.assume or self.fields.ip or not forwarded:
            return None
        # Lines without the header say nothing: the log may be of a time before there was a proxy.
        pairs = [(_last_address(record, forwarded), _last_address(record, client)) for record, _ in seen.records]
        peers = [peer for behind, peer in pairs if behind is not None and peer is not None]
        behind = any(behind is not None for behind, _ in pairs)
        return PRIVATE_PROXIES if behind and sum(map(is_private, peers)) >= 0.9 * len(peers) else None

    def _named(self, seen: Seen) -> str | None:
        """Whether clients behind proxies are named, and nothing says to believe that."""
        if not self.assume or self.fields.ip:
            return None
        other = sum(_names_others(record, seen.layout) for record, _ in seen.records)
        return "unused" if other and other >= 0.5 * len(seen.records) else None

    def _check(self, seen: Seen) -> None:
        """Refuse to read what the format does not hold."""
        columns = seen.shape.parse.columns
        if not columns:
            return
        name = seen.shape.name
        for chosen in self.wanted.selectors:
            if chosen.kind == "field" and chosen.name not in columns:
                raise ConfigurationError(f"{name} has no field {chosen.name!r}; there are {', '.join(columns)}")
            if chosen.kind == "header" and not {*header_fields(chosen.name)} & {*columns}:
                raise ConfigurationError(
                    f"{name} has no header {chosen.name!r}, only {', '.join(columns)}: log it, or pick it with "
                    f"regex:PATTERN"
                )
        for option, given in (("time", self.fields.time), ("ip", self.fields.ip), ("forwarded", self.fields.forwarded)):
            if given is not None and given not in columns:
                raise ConfigurationError(
                    f"no field is called {given!r} (--{option}-field); there are {', '.join(columns)}"
                )
        self._look(seen, columns)

    def _look(self, seen: Seen, columns: Sequence[str]) -> None:
        """Refuse a table in which no field holds the client."""
        if not seen.records:
            return
        layout = seen.layout
        needs_client = any(chosen.kind in {"ip", "header"} for chosen in self.wanted.selectors)
        if (
            needs_client
            and not layout.client
            and not layout.forwarded
            and not isinstance(seen.shape.parse, CommonLines)
        ):
            raise ConfigurationError(
                f"no field holds the ip of the client; there are {', '.join(columns)}: name it with --ip-field"
            )


def _some(lines: Sequence[bytes]) -> Sequence[bytes]:
    """The first lines and, evenly, some behind them, which may say what the first ones do not."""
    first, behind = lines[: _LINES // 2], lines[_LINES // 2 :]
    return [*first, *behind[:: -(-len(behind) // (_LINES // 2)) or 1]]


def _of_one_table(lines: list[bytes]) -> list[bytes]:
    """The lines up to one that names other columns than the line before did."""
    headers = [place for place, line in enumerate(lines) if line.startswith(b"#Fields:")]
    return lines[: next((place for place in headers if lines[place] != lines[headers[0]]), None)]


def _no_time(sample: Sample, calendar: Calendar) -> str:
    """What to do about a log in which no field holds a time."""
    turned = replace(calendar, day_first=True)
    for name, values in sample.columns.items():
        texts = map(text_of, values)
        if any(instant(text, turned) is not None and instant(text, calendar) is None for text in texts):
            return (
                f"nothing says whether the day or the month comes first in {name}, such as {text_of(values[0])!r}: "
                f"give --day-first or --month-first"
            )
    return (
        f"no field holds a time; there are {', '.join(sample.columns)}: name it with --time-field, or say how far "
        f"apart requests are with --every"
    )


def _fronted(sample: Sample) -> tuple[str, ...]:
    """The field of the server's name, if it holds X-Forwarded-For: addresses that say more than those of the peers."""
    front = {text_of(value) for value in sample.columns.get("vhost", ())}
    peers = {text_of(value) for value in sample.columns.get("host", ())}
    first = [text.partition(",")[0] for text in front]
    if sum(address_in(text) == text for text in first) < 0.9 * max(1, len(first)):
        return ()
    outside = len(front) > 1 and _are_private(peers) and not _are_private(first)
    return ("vhost",) if len(front) > len(peers) or outside else ()


def _are_private(texts: Iterable[str]) -> bool:
    found = [address for text in texts if (address := address_in(text)) is not None]
    return bool(found) and sum(map(is_private, found)) >= 0.9 * len(found)


def _names_others(record: Record, layout: Layout) -> bool:
    """Whether proxies noted a client on the internet, and the one of the record is not among what they noted."""
    behind = _last_address(record, layout.forwarded)
    if behind is None or is_private(behind):
        return False
    noted = text_of(first_of(record, layout.forwarded)).split(",")
    return _last_address(record, layout.client) not in map(hop_in, noted)


def _last_address(record: Record, names: Sequence[str]) -> str | None:
    """The address in the first of the fields that says something, the last one of a list."""
    value = first_of(record, names) if names else None
    return None if value is None else hop_in(text_of(value).rpartition(",")[2])


def _default(name: str) -> Shape:
    """The shape of a format whose first lines say nothing."""
    if name == "json":
        return Shape(name, JsonObject())
    if name == "logfmt":
        return Shape(name, Pairs())
    for known in TEXTS:
        if known.name == name:
            return Shape(name, Pattern(pattern_of(known.template, known.needed), known.others))
    return Shape(name, CommonLines(vhost=name == "vhost_combined"))


@dataclass(frozen=True, slots=True)
class OpenedFormat:
    """A log whose format is known.

    Attributes:
        detected: the fields that were found for the client, the time and the path.
        reader: what reads it.
        spacing: µs from line to line where lines have no time; None if they have.
        header: the line that names the columns, where other lines may name others further on; empty in other formats.
    """

    detected: Detected
    reader: LineReader
    spacing: int | None = None
    header: bytes = b""
