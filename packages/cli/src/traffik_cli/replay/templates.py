"""Formats as they stand in the configuration of servers, as patterns: nginx's ``$remote_addr …``, Apache's ``%h …`` and
gunicorn's ``%(h)s …``.

A variable ends where the text behind it begins. The line has to match up to the time and the client; what stands behind
may be missing, or be more than the format says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from traffik.model.errors import ConfigurationError

__all__ = ["pattern_of", "template_of"]

_NGINX: Final = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<name>\w+))")
_APACHE: Final = re.compile(
    r"%(?:[<>]|!?\d{3}(?:,\d{3})*)*(?:\{(?P<argument>[^}]*)\})?(?:[<>])?(?P<letter>\^?[A-Za-z]{1,2}(?<=\^..)|[A-Za-z])|%%"
)
_GUNICORN: Final = re.compile(r"%\((?:(?P<argument>\{[^}]*\}[ioe])|(?P<letter>\w))\)s")
_DIRECTIVE: Final = re.compile(
    r"\s*(?:log_format\s+\S+\s+(?:escape=\w+\s+)?(?P<nginx>.*?);?|LogFormat\s+(?P<apache>\".*\")(?:\s+\w+)?)\s*",
    re.DOTALL,
)
"""A whole line of the configuration of nginx or Apache."""

_PIECES: Final = re.compile(r"'((?:[^'\\]|\\.)*)'\s*")

_APACHE_NAMES: Final = {
    "h": "remote_host",
    "a": "remote_addr",
    "l": "ident",
    "u": "remote_user",
    "r": "request",
    "m": "method",
    "U": "path",
    "q": "query",
    "s": "status",
    "b": "bytes",
    "B": "bytes",
    "O": "bytes_out",
    "I": "bytes_in",
    "v": "vhost",
    "V": "vhost",
    "p": "port",
    "D": "duration",
    "T": "duration",
    "P": "pid",
    "k": "keepalive",
    "X": "connection",
    "H": "protocol",
    "f": "file",
    "A": "server_addr",
    "L": "log_id",
    "S": "bytes_both",
    "R": "handler",
}
_HEADERS: Final = {"i": "http_", "o": "sent_http_", "e": "env_", "n": "note_", "C": "cookie_"}
_CLIENTS: Final = (
    "remote_host",
    "remote_addr",
    "client_addr",
    "http_x_forwarded_for",
    "http_x_real_ip",
    "http_cf_connecting_ip",
)
_TIMES: Final = ("time", "time_local", "time_iso8601", "msec")
_SPACED: Final = (
    "http_user_agent",
    "http_referer",
    "request",
    "http_x_forwarded_for",
    "proxy_add_x_forwarded_for",
)

_QUOTED: Final = r'(?:[^"\\]|\\.)*'
_REQUEST: Final = r'(?:[A-Z]+ \S+ HTTP/[0-9.]+(?=")|(?:[^"\\]|\\.)*)'


def template_of(text: str) -> str:
    """A format as configurations hold it: pieces in single quotes joined, escaped quotes plain, in nginx's spelling.

    Raises:
        ConfigurationError: it has no variable.
    """
    directive = _DIRECTIVE.fullmatch(text)
    text = (text if directive is None else directive["nginx"] or directive["apache"]).strip()
    pieces = _PIECES.findall(text)
    if pieces and not _PIECES.sub("", text).strip():
        text = "".join(pieces)
    elif len(text) > 1 and text[0] == text[-1] == '"' and (directive or '\\"' in text):
        text = text[1:-1]
    text = text.replace('\\"', '"').replace("\\t", "\t")
    text = _GUNICORN.sub(_apache, text)
    if _NGINX.search(text):
        return text
    found = _APACHE.sub(_nginx, text)
    if not _NGINX.search(found):
        raise ConfigurationError(
            f"{text!r} has no variables: give nginx's log_format ($remote_addr …), Apache's LogFormat (%h …) or "
            f"gunicorn's access_log_format (%(h)s …)"
        )
    return found


def _apache(match: re.Match[str]) -> str:
    """A variable of gunicorn as Apache's, whose letters mean the same but for two."""
    return {"a": "%{User-Agent}i", "f": "%{Referer}i"}.get(match["letter"], f"%{match['argument'] or match['letter']}")


def _nginx(match: re.Match[str]) -> str:
    if match[0] == "%%":
        return "%"
    letter, argument = match["letter"], match["argument"]
    if letter == "t":
        return "${time}" if argument else "[${time_local}]"
    if letter in _HEADERS and argument:
        return f"${{{_HEADERS[letter]}{re.sub('[^a-z0-9]', '_', argument.lower())}}}"
    return f"${{{_APACHE_NAMES.get(letter.lstrip('^'), 'other')}}}"


def pattern_of(template: str, needed: str | None = None) -> re.Pattern[bytes]:
    """The pattern of a format in nginx's spelling.

    Args:
        template: the format; ``$_`` is anything.
        needed: the variable up to which a line has to match; the last one that says a time or a client if None.

    Raises:
        ConfigurationError: two variables touch: the end of the first is unknown.
    """
    parts = list(_parts(template))
    names = _CLIENTS + _TIMES if needed is None else (needed,)
    last = max((place for place, (name, _) in enumerate(parts) if name in names), default=len(parts) - 1)
    last = min(last + 1, len(parts) - 1)  # the text behind a variable ends it
    head = "".join(text for _, text in parts[: last + 1])
    tail = ""
    for place in range(len(parts) - 1, last, -1):
        behind = parts[place][0] in {"", "query"}  # it ends the variable in front of it, and goes with it
        tail = f"{parts[place][1]}{tail}" if behind and place > last + 1 else f"(?:{parts[place][1]}{tail})?"
    return re.compile((head + tail).encode(), re.DOTALL)


def _parts(template: str) -> Iterator[tuple[str, str]]:
    """Names of variables, empty for plain text, and what matches each."""
    place, seen, before = 0, set[str](), ""
    for match in _NGINX.finditer(template):
        plain = template[place : match.start()]
        if plain:
            yield "", re.escape(plain)
        elif place and (match["braced"] or match["name"]) != "query":
            raise ConfigurationError(
                f"{before} and {match[0]} touch in {template!r}: nothing says where the first ends"
            )
        place, before = match.end(), match[0]
        name = match["braced"] or match["name"]
        inner = _inner(name, plain[-1:], template[place : place + 1])
        if name == "_" or name in seen:
            yield name, f"(?:{inner})"
        else:
            seen.add(name)
            yield name, f"(?P<{name}>{inner})"
    if template[place:]:
        yield "", re.escape(template[place:])


def _inner(name: str, before: str, behind: str) -> str:
    """What a variable may hold, by what stands around it."""
    if behind == '"' and before == '"':
        return _REQUEST if name == "request" else _QUOTED
    if behind == "]" and before == "[":
        return r"[^\]\[]*"
    if name == "query" and before != " ":
        return r"(?:\?\S*)?"
    if name == "remote_user":
        return r'(?:[^"\\]|\\.)*?'
    if name == "_":  # what a client sent may look like the request, which is the last that does
        return rf'(?:.*(?={re.escape(behind)}"[A-Z]+ \S+ HTTP/[0-9.]+")|.*?)'
    if name in _TIMES and behind:
        least = "" if behind == " " else "?"
        return rf"\S*{least}(?: \d\d?:\d\d:\d\d\S*{least})?"
    if name in _SPACED or (name in _TIMES and not behind):
        return r".*?" if behind else r".*"
    return r"\S*?" if behind and behind != " " else r"\S*"
