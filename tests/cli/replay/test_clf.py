"""Reading lines of the Common and Combined Log Format, also those that attackers shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.batches import Wanted
from traffik_cli.replay.clf import COMMON, CommonLines, CommonLog
from traffik_cli.replay.formats import Format
from traffik_cli.replay.reader import RecordReader
from traffik_cli.replay.selectors import selector

NOW = 1_760_104_536_000_000
TIME = b"[10/Oct/2025:13:55:36 +0000]"
LINES = {
    "plain": b"192.0.2.1 - - " + TIME + b' "GET /a HTTP/1.1" 200 1 "-" "curl"',
    "a user with spaces": b"192.0.2.1 - ada b c " + TIME + b' "GET /a HTTP/1.1" 200 1',
    "a time in the user": b"192.0.2.1 - a [10/Oct/2035:00:00:00 +0000] b " + TIME + b' "GET /a HTTP/1.1" 200 1',
    "quotes in the user": b'192.0.2.1 - a [10/Oct/2035:00:00:00 +0000] \\"GET ' + TIME + b' "GET /a HTTP/1.1" 200 1',
    "a time in the request": b"192.0.2.1 - - " + TIME + b' "GET /[10/Oct/2035:00:00:00 +0000] HTTP/1.1" 200 1',
    "no quotes": b"192.0.2.1 - - " + TIME + b" GET /a 200 1",
    "no user at all": b"192.0.2.1 -  " + TIME + b' "GET /a HTTP/1.1" 200 1',
    "quotes in the agent": b"192.0.2.1 - - " + TIME + b' "GET /a HTTP/1.1" 200 1 "-" "a \\" [b] c"',
    "an empty request": b"192.0.2.1 - - " + TIME + b' "-" 408 -',
    "a request cut short": b"192.0.2.1 - - " + TIME + b' "GET /a',
    "bytes that are no text": b"192.0.2.1 - - " + TIME + b' "\x16\x03\xff" 400 1',
    "from Windows": b"192.0.2.1 - - " + TIME + b' "GET /a HTTP/1.1" 200 1\r',
    "another zone": b'192.0.2.1 - - [10/Oct/2025:06:55:36 -0700] "GET /a HTTP/1.1" 200 1',
    "fractions": b'192.0.2.1 - - [10/Oct/2025:13:55:36.000 +0000] "GET /a HTTP/1.1" 200 1',
}
BAD = {
    "nothing in it": b"what?",
    "no such day": b'192.0.2.1 - - [31/Feb/2025:13:55:36 +0000] "GET / HTTP/1.1" 200 1',
    "no such hour": b'192.0.2.1 - - [10/Oct/2025:25:55:36 +0000] "GET / HTTP/1.1" 200 1',
    "no host": b"- " + TIME + b' "GET / HTTP/1.1" 200 1',
    "cut before the time ends": b"192.0.2.1 - - [10/Oct/2025:13:55",
}


def read(lines, *keys, request=False):
    wanted = Wanted(tuple(map(selector, keys or ("ip",))), request)
    reader = RecordReader(wanted, CommonLines(), COMMON) if keys else CommonLog(wanted)
    return reader.read(b"\n".join(lines) + b"\n")


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
@pytest.mark.parametrize("before", ["alone", "after a plain line"])
def test_both_readers_find_host_and_time(line, before):
    lines = [line] if before == "alone" else [LINES["plain"], line, line]
    for batch in (read(lines), read(lines, "ip", "field:user")):
        assert batch.malformed == 0
        assert [NOW] * len(lines) == batch.batch.times
    assert [b"192.0.2.1"] * len(lines) == read(lines).batch.hits


@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
@pytest.mark.parametrize("before", ["alone", "after a plain line"])
def test_both_readers_skip_malformed_lines(line, before):
    lines = [line] if before == "alone" else [LINES["plain"], line]
    for batch in (read(lines), read(lines, "ip", "field:user")):
        assert [len(lines)] == [shown.line for shown in batch.shown]
        assert batch.malformed == 1


PARTS = [*LINES.values(), *BAD.values(), *(line.replace(b"GET", b"POST") for line in LINES.values()), b""]


@given(st.lists(st.sampled_from(PARTS)))
def test_the_quick_reader_reads_the_same_requests_as_the_pattern(lines):
    quick, slow = read(lines, request=True), read(lines, "ip", "field:host", request=True)
    assert quick[1:] == slow[1:]
    expected = slow.batch.times, [(host, *asked) for host, _, *asked in slow.batch.hits]
    assert quick.batch == expected


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"POST /a/b?c=d HTTP/1.1", (b"POST", b"/a/b")),
        (b"GET http://example.org/a HTTP/1.1", (b"GET", b"/a")),
        (b"GET /a", (b"GET", b"/a")),
        (b"OPTIONS * HTTP/1.1", (b"OPTIONS", b"*")),
        (b"-", (None, None)),
        (b"\\x16\\x03", (None, None)),
    ],
)
def test_method_and_path_are_those_of_the_request_line(request_line, expected):
    batch = read([b"192.0.2.1 - - " + TIME + b' "' + request_line + b'" 200 1'], request=True)
    assert ([NOW], [(b"192.0.2.1", *expected)]) == batch.batch


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("header:User-Agent", b"header:user-agent:curl"),
        ("header:Referer", b"192.0.2.1"),
        ("field:agent", b"curl"),
        ("field:status", b"200"),
        ("field:path", b"/a"),
        ("regex:GET (/.)", b"/a"),
        ("regex:cur.", b"curl"),
        ("regex:nowhere", None),
    ],
)
def test_the_key_is_the_chosen_field(key, expected):
    assert ([NOW], [expected]) == read([LINES["plain"]], key).batch


@pytest.mark.parametrize("key", ["header:X-Api-Key", "field:nothing"])
def test_an_unknown_field_is_an_error_that_lists_the_fields(key):
    with pytest.raises(ConfigurationError, match=r"combined has no (header|field) .*host, ident, user, time"):
        Format("auto", Wanted((selector(key),))).open(LINES["plain"])
