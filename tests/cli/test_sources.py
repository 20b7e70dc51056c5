"""Logs as files really are: joined, truncated while they were written, with any line ends; archives are refused."""

from __future__ import annotations

import codecs
import json

import pytest

LINES = [
    b'203.0.113.%d - - [10/Oct/2025:12:00:%02d +0000] "GET /a HTTP/1.1" 200 5 "-" "curl"' % (n % 3, n)
    for n in range(60)
]
TEXT = b"\n".join([*LINES, b""])
EARLY, LATE = b"\n".join([*LINES[:30], b""]), b"\n".join([*LINES[30:], b""])

FILES = {
    "a byte order mark in the middle": EARLY + codecs.BOM_UTF8 + LATE,
    "UTF-16 behind UTF-8": EARLY + LATE.decode().encode("utf-16"),
    "UTF-16, big end first": TEXT.decode().encode("utf-16-be"),
    "zeros in front": bytes(4096) + TEXT,
    "zeros in the middle": EARLY + bytes(4096) + LATE,
    "colours": TEXT.replace(b'"GET /a', b'"\x1b[33mGET /a'),
    "Windows": TEXT.replace(b"\n", b"\r\n"),
    "an old Mac": TEXT.replace(b"\n", b"\r"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_same_lines_are_read_from_any_file(name, traffik, tmp_path):
    (tmp_path / "log").write_bytes(FILES[name])
    found = json.loads(traffik("replay", tmp_path / "log", "--rate", "10/min", "--only", "GET /a", "--json").out)
    (tried,) = found["scenarios"]
    assert (tried["requests"], tried["clients"], tried["refused"], found["warnings"]) == (60, 3, 30, [])


@pytest.mark.parametrize(
    ("content", "what"), [(b"PK\x03\x04" + TEXT, "a zip archive"), (TEXT.ljust(257)[:257] + b"ustar", "a tar archive")]
)
def test_an_archive_is_not_taken_for_a_log(content, what, traffik, tmp_path):
    (tmp_path / "log").write_bytes(content)
    said = traffik("replay", tmp_path / "log", "--rate", "10/min")
    assert (said.code, said.err) == (
        2,
        f"traffik: {tmp_path}/log is {what}, not a log: extract the log from it first\n",
    )
