"""The header fields by which a server asks its clients to send less: text in, a wait out.

Reads ``Retry-After`` (RFC 9110, section 10.2.3), ``RateLimit`` and ``RateLimit-Policy`` (draft-ietf-httpapi-ratelimit-
headers, and its revisions up to 07), and ``RateLimit-Remaining`` with ``RateLimit-Reset``, also with ``X-`` in front.
The text comes from a server that may be broken or hostile: values that make no sense are ignored, and no text raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Final

from traffik.model.decisions import NEVER

__all__ = ["read_wait"]

_SECOND: Final = 1_000_000
_LONGEST: Final = 4096
"""How much of a field is read."""

_PREFIXES: Final = ("ratelimit-", "x-ratelimit-", "x-rate-limit-")
_NUMBER: Final = re.compile(r"0*(\d{1,15})\d*(?:\.(\d{1,6})\d*)?", re.ASCII)
_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[,;]|[^",;]+|"', re.DOTALL)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES: Final = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"[a-z]{{3}}, (?P<day>\d\d) (?P<month>[a-z]{{3}}) (?P<year>\d{{4}}) {_TIME} GMT",  # IMF-fixdate
        rf"[a-z]{{6,9}}, (?P<day>\d\d)-(?P<month>[a-z]{{3}})-(?P<year>\d\d) {_TIME} GMT",  # RFC 850
        rf"[a-z]{{3}} (?P<month>[a-z]{{3}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",  # asctime
    )
)

_Items = list[list[str]]


def read_wait(status: int, fields: Iterable[tuple[str, str]], now: int) -> int | None:
    """µs for which the server wants nothing from its client; None if it does not say.

    ``Retry-After`` goes before the other fields. Those of an answer that is no refusal count if they say that nothing
    remains. Times are relative to the answer's own ``Date``, so the clocks of client and server need not agree.

    Args:
        status: of the answer; 429 and 503 are refusals.
        fields: names, in any case, and values.
        now: µs since 1970, for an answer without a ``Date``.

    Returns:
        A wait from 0 to `NEVER`. It is the server's word: the caller bounds it.
    """
    lines: dict[str, list[str]] = {}
    for name, value in fields:
        lines.setdefault(name.lower(), []).append(value[:_LONGEST])
    sent = _date(lines.get("date", [""])[0], now)
    start = now if sent is None else sent
    refused = status in {429, 503}
    if refused:
        retry = [wait for value in lines.get("retry-after", ()) if (wait := _delay(value, start)) is not None]
        if retry:
            return min(max(retry), NEVER)
    waits = [*_listed(lines, refused), *(wait for each in _PREFIXES for wait in _counted(lines, each, start, refused))]
    return min(max(waits), NEVER) if waits else None


def _delay(value: str, start: int) -> int | None:
    """The wait in a ``Retry-After``: seconds or a date."""
    seconds = _span(value)
    if seconds is not None:
        return seconds
    until = _date(value, start)
    return None if until is None else max(0, until - start)


def _listed(lines: dict[str, list[str]], refused: bool) -> list[int]:
    """The waits of ``RateLimit``, for policies of which nothing remains."""
    windows = {item[0]: _parameter(item, "w") for item in _items(lines.get("ratelimit-policy", ()))}
    items = _items(lines.get("ratelimit", ()))
    waits: list[int] = []
    for item in items:
        wait = _parameter(item, "t")
        wait = windows.get(item[0]) if wait is None else wait
        if wait is not None and _parameter(item, "r") == 0:
            waits.append(wait)
    older = [part for item in items for part in item]  # limit=10, remaining=0, reset=5
    reset, left = _parameter(older, "reset"), _parameter(older, "remaining")
    if reset is not None and (left == 0 or (left is None and refused)):
        waits.append(reset)
    return waits


def _counted(lines: dict[str, list[str]], prefix: str, start: int, refused: bool) -> list[int]:
    """The waits of the fields ``…Remaining`` and ``…Reset``, which is in seconds from now or since 1970."""
    left = _span(lines.get(f"{prefix}remaining", [""])[0])
    reset = _span(lines.get(f"{prefix}reset", [""])[0])
    if reset is None or not (left == 0 or (left is None and refused)):
        return []
    seconds = reset // _SECOND
    if seconds < 10**9:  # 1970 + 10**9 s is in 2001
        return [reset]
    since = reset if seconds < 10**12 else reset // 1_000  # some count milliseconds
    return [max(0, since - start)]


def _span(text: str) -> int | None:
    """A number of seconds as µs; None if it is none."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    return int(match[1]) * _SECOND + int((match[2] or "").ljust(6, "0"))


def _items(values: Iterable[str]) -> _Items:
    """The members of a list (RFC 9651) as text: each an item and its parameters."""
    items: _Items = [[""]]
    for piece in _PIECE.findall(",".join(values)[:_LONGEST]):
        if piece == ",":
            items.append([""])
        elif piece == ";":
            items[-1].append("")
        else:
            items[-1][-1] += piece
    return [[part.strip() for part in item] for item in items]


def _parameter(item: Iterable[str], name: str) -> int | None:
    """The number of seconds, as µs, or the count, that a parameter has."""
    for part in item:
        key, equals, value = part.partition("=")
        if equals and key.strip() == name:
            return _span(value)
    return None


def _date(text: str, now: int) -> int | None:
    """An HTTP date (RFC 9110, section 5.6.7) as µs since 1970; None if it is none."""
    for form in _DATES:
        match = form.fullmatch(text.strip())
        if match is not None and match["month"].lower() in _MONTHS:
            year = _year(match["year"], now)
            try:
                day = date(year, _MONTHS.index(match["month"].lower()) + 1, int(match["day"]))
            except ValueError:
                return None
            days = day.toordinal() - date(1970, 1, 1).toordinal()
            seconds = (int(match["hour"]) * 60 + int(match["minute"])) * 60 + int(match["second"])
            return (days * 86_400 + seconds) * _SECOND
    return None


def _year(digits: str, now: int) -> int:
    """A year; one of two digits is at most 50 years ahead."""
    year = int(digits)
    if len(digits) > 2:
        return year
    present = 1970 + now // (_SECOND * 31_556_952)
    year += present - present % 100
    return year - 100 if year > present + 50 else year
