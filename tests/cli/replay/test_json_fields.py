"""Some fields of JSON, read in blocks, are those of whole lines that Python's own decoder reads one by one."""

from __future__ import annotations

import json
import pickle
from itertools import chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from traffik_cli.replay.batches import Wanted
from traffik_cli.replay.clients import Clients
from traffik_cli.replay.instants import Instants
from traffik_cli.replay.lines import JsonObject, narrowed
from traffik_cli.replay.reader import RecordReader, fields_read
from traffik_cli.replay.records import Layout
from traffik_cli.replay.selectors import selector
from traffik_cli.replay.times import UTC, instant

LAYOUT = Layout((("time",),), ("addr", "peer.ip"), (), ("method",), ("path", "url.path"), ("request",))
WANTED = Wanted(tuple(map(selector, ("ip", "field:plan", "field:peer.user.id", "header:User-Agent"))), request=True)

SECONDS = [
    "2025-10-10T13:55:36",
    "2025-10-10 13:55:37",
    "1/Oct/2025:13:55:36",
    "1760104536000000000",
    "2025-13-10T00:00:00",
]
FRACTIONS = st.from_regex(r"([.,][0-9٣]{0,11})?", fullmatch=True)
ZONES = st.sampled_from(["", "Z", "+00:00", "+0200", " UTC", "-07", "x"])
TIMES = st.tuples(st.sampled_from(SECONDS), FRACTIONS, ZONES).map("".join)
NUMBERS = st.sampled_from([True, 1, 1.0, False, 0, 1760104536, 1760104536.5, 1760104536000.25, -1.0, 2**70])

LEAVES = st.sampled_from(
    ["", "-", "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "GET", "/a?b", "GET /c HTTP/1.1", "é", None]
)
VALUES = st.recursive(
    LEAVES | NUMBERS | TIMES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["ip", "user", "id", "path"]), inner),
    max_leaves=4,
)
ODD = st.sampled_from(
    [r'"\ud800"', r'"\x"', '"\t"', '"\udcff"', r'"\"}"', "NaN", "1e999", "01", "-", "1.", "tru", "[1,]", "{", ""]
)
NAMES = st.sampled_from(
    ["time", "addr", "peer", "peer.ip", "method", "path", "url", "request", "plan", "headers", "user_agent", "other"]
)
PLAIN = {
    "addr": LEAVES,
    "peer": st.fixed_dictionaries({"ip": LEAVES, "user": st.fixed_dictionaries({"id": LEAVES | NUMBERS, "x": VALUES})}),
    "request": LEAVES,
    "path": LEAVES,
    "plan": LEAVES | NUMBERS,
    "headers": st.fixed_dictionaries({"user-agent": LEAVES}),
    "other": VALUES,
}
RECORDS = st.fixed_dictionaries({"time": TIMES | NUMBERS}, optional=PLAIN)
ODDITIES = st.lists(st.tuples(NAMES, VALUES.map(json.dumps) | ODD), max_size=2)
"""Fields that come again, and values that are no JSON."""


def line_of(record, odd, comma, end):
    pairs = [*((name, json.dumps(value)) for name, value in record.items()), *odd]
    line = "{" + comma.join(f"{json.dumps(name)}: {text}" for name, text in pairs) + end
    return line.encode("utf-8", "surrogateescape")


ENDS = st.sampled_from(["}"] * 8 + ["} ", "},", "}\r", "}x", "", "}}"])
LINES = st.builds(line_of, RECORDS, st.just([]) | ODDITIES, st.sampled_from([",", " , "]), ENDS)
BLOCKS = st.lists(LINES | st.sampled_from([b"", b" ", b"[]", b"5", b'"a"']), min_size=3, max_size=8)


def whole(line):
    """A line as Python decodes it; one that it cannot decode, with all fields."""
    try:
        found = json.loads(line.rstrip().removesuffix(b",").decode("utf-8", "replace"))
    except ValueError:
        return JsonObject()(line)
    return found if isinstance(found, dict) else "no object"


@given(BLOCKS)
def test_both_ways_find_the_same_requests_and_the_same_mistakes(lines):
    quick = RecordReader(WANTED, narrowed(JsonObject(), fields_read(WANTED, LAYOUT)), LAYOUT).read(b"\n".join(lines))
    slow = [RecordReader(WANTED, whole, LAYOUT).read(line + b"\n") for line in lines]
    assert quick.batch == tuple(list(chain(*parts)) for parts in zip(*(each.batch for each in slow), strict=True))
    mistakes = [(place, reason) for place, parsed in enumerate(slow, 1) for _, reason in parsed.shown]
    assert [tuple(each) for each in quick.shown] == mistakes
    assert quick.malformed == len(mistakes)


@given(st.lists(TIMES | NUMBERS | VALUES, min_size=10, max_size=40))
@example(["2025-10-10T13:55:36.1Z", "2025-10-10T13:55:36.٣Z"])
@example(["2025-10-10T13:55:36.1234567890Z", "2025-10-10T13:55:36.1Z", "2025-10-10T13:55:36.1234567890Z"])
@example(["2025-10-10T13:55:36.123456789Z", "2025-10-10T13:55:36.12Z", "2025-10-10T13:55:36.123456", True, 1])
def test_times_read_together_are_those_read_alone(values):
    known = Instants(UTC)
    for _ in range(2):
        assert known.all(values) == [instant(value, UTC) for value in values]


def test_a_record_holds_only_the_chosen_fields_also_in_another_process():
    parse = pickle.loads(pickle.dumps(JsonObject(("a", "b.c"))))
    assert parse(b'{"a": 1, "b": {"c": 2, "d": 3}, "e": 4}') == {"a": 1, "b": {"c": 2}}


@pytest.mark.parametrize(("line", "reason"), [(b'{"a": 1, "e": tru}', "no JSON"), (b'{"a": 1, "e": "\\x"}', "no JSON")])
def test_mistakes_in_fields_that_are_skipped_are_found(line, reason):
    assert JsonObject(("a",))(line).startswith(reason)


MENDED = [
    (rb'{"a": "caf\xC3\xA9 \x22b\x22", "b": 1}', {"a": 'caf\u00e9 "b"', "b": 1}),
    (b'{"a": -, "b": 1}', {"a": None, "b": 1}),
    (b'{"b": 1, "a":}', {"a": None, "b": 1}),
    (b'{"a": "x", "b": 1, }', {"a": "x", "b": 1}),
]


@pytest.mark.parametrize(("line", "expected"), MENDED)
def test_json_that_servers_make_by_a_template_is_read(line, expected):
    assert JsonObject()(line) == JsonObject(("a", "b"))(line) == expected


def test_clients_read_together_lose_ports_spaces_and_brackets():
    peers = ["192.0.2.1", "192.0.2.1 ", "192.0.2.1:80", "[2001:db8::1]:80", "-", None, "192.0.2.2, 10.0.0.1", "shop"]
    expected = [b"192.0.2.1", b"192.0.2.1", b"192.0.2.1", b"2001:db8::1", None, None, b"192.0.2.2", b"shop"]
    assert Clients(None).keys(peers) == expected
    assert Clients(None).keys(peers[:5]) == expected[:5]
    assert Clients(None).keys(["192.0.2.1", "192.0.2.2\n"]) == [b"192.0.2.1", b"192.0.2.2"]
    assert Clients(None).keys([b"192.0.2.1", b"192.0.2.2:80"]) == [b"192.0.2.1", b"192.0.2.2"]
