"""The same traffic gives the same report in every log format."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.replay.exact import START
from tests.cli.replay.small import FORMATS
from traffik.model.errors import ConfigurationError
from traffik_cli.reading import batches_of, readers
from traffik_cli.replay.batches import Wanted
from traffik_cli.replay.formats import Format
from traffik_cli.replay.records import Fields
from traffik_cli.replay.selectors import Selector, selector
from traffik_cli.replay.trials import trial_of
from traffik_cli.sources import Source

LOGS = Path(__file__).parent / "logs"

chance = Random(3)
HITS = [
    (START + second * 1_000_000, chance.choice(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]))
    for second in range(120)
    for _ in range(chance.randrange(3))
]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_report(name, replay):
    expected, _ = replay([FORMATS["combined"](HITS)], "5/20s")
    report, (log,) = replay([FORMATS[name](HITS)], "5/20s")
    assert expected == report
    assert report.refused > 0
    assert log.detected.format == {"common": "combined"}.get(name, name)


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_log_is_no_error(name, replay):
    report, _ = replay([FORMATS[name]([])], "5/20s")
    assert (report.requests, report.refused, report.first) == (0, 0, None)


def test_a_file_that_is_no_log_is_an_error_that_shows_its_beginning(replay):
    with pytest.raises(ConfigurationError, match=r"format of this log is unknown.*begins with b'GIF89a'.*--format"):
        replay([b"GIF89a"], "5/s")


@pytest.mark.parametrize("form", ["auto", "csv"])
@pytest.mark.parametrize(
    "first", [b"[" * 100_000, b"time,ip\r1,2\r", b"a," * 3 + b"b" * 200_000], ids=["[", "CR", "long"]
)
def test_an_unreadable_beginning_is_an_error(first, form, replay):
    with pytest.raises(ConfigurationError, match=r"log is unknown|names its columns"):
        replay([first + b"\n"], "1/s", form=form)


def test_malformed_lines_are_counted_and_shown_by_number(replay):
    good = FORMATS["combined"](HITS[:1])
    content = good + b"what?\n\n" + good + b'1.2.3.4 - - [99/Oct/2025:00:00:00 +0000] "GET / HTTP/1.1" 200 1\n'
    report, (log,) = replay([content], "5/20s")
    assert (report.requests, log.lines, log.malformed) == (2, 5, 2)
    assert log.shown == [(2, "no host, time and request"), (5, "not a time: '[99/Oct/2025:00:00:00 +0000]'")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "no JSON"),
        (b"[1]", "no object"),
        (b'{"ip": "192.0.2.1"}', "no time"),
        (b'{"ip": "192.0.2.1", "ts": "soon"}', "not a time: 'soon'"),
        (b'{"ip": "192.0.2.1", "ts": true}', "not a time: 'true'"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_a_malformed_line_of_json_is_shown_with_the_reason(line, reason, replay):
    _, (log,) = replay([FORMATS["json"](HITS[:1]) + line + b"\n"], "5/20s", form="json")
    assert [shown.line for shown in log.shown] == [2]
    assert log.shown[0].reason.startswith(reason)


def test_a_row_with_another_number_of_columns_is_malformed(replay):
    _, (log,) = replay([b"time,ip\n1760054400,192.0.2.1\n1760054401\n"], "5/20s")
    assert log.shown == [(3, "1 columns, not 2")]


def test_fields_are_found_by_the_given_names():
    fields = Fields(time="when.start", ip="from")
    wanted = Wanted((Selector("ip"),))
    content = json.dumps({"when": {"start": 1_760_054_400}, "from": "192.0.2.1"}).encode()
    batch = Format("json", wanted, fields).open(content).reader.read(content)
    assert batch.batch == ([START], [b"192.0.2.1"])


def test_a_csv_without_the_column_is_an_error_that_lists_the_columns(replay):
    with pytest.raises(
        ConfigurationError, match=r"no field holds the ip .*; there are time, who: name it with --ip-field"
    ):
        replay([b"time,who\n1,2\n"], "5/s")
    with pytest.raises(ConfigurationError, match="csv has no field 'user'; there are time, who"):
        replay([b"time,who\n1,2\n"], [trial_of("5/s", key="field:user")])


def test_other_delimiters_are_detected(replay):
    report, _ = replay([b"time;ip\n1760054400;192.0.2.1\n1760054400;192.0.2.1\n"], "1/s")
    assert (report.requests, report.refused) == (2, 1)


OTHERS = {"alb.log", "docker-json-file.log", "haproxy-http.log", "heroku.log", "iis.log", "vhost-combined.log"}
HEADS = {name: write([(START, "192.0.2.1")] * 3) for name, write in FORMATS.items()}
HEADS |= {path.name: path.read_bytes() for path in LOGS.glob("*.log") if path.name in OTHERS}
READERS = {
    name: Format("auto", Wanted((Selector("ip"),), request=True)).open(head).reader for name, head in HEADS.items()
}
PIECES = [
    b'"',
    b"[",
    b"]",
    b" ",
    b"\\",
    b"{",
    b"}",
    b":",
    b",",
    b"-",
    b"1760054400",
    b'{"time":1,"ip":',
    b"\xff",
    b"\x00",
    b"\r",
]
PIECES += [
    b"10/Oct/2025:13:55:36 +0000",
    b"1e999",
    b"9" * 5000,
    b"a" * 200_000,
    b"NaN",
    b"\n",
    b'"headers":',
    b"192.0.2.1",
]


@pytest.mark.parametrize("name", READERS)
@given(content=st.lists(st.sampled_from(PIECES) | st.binary(max_size=4)).map(b"".join))
def test_no_line_is_fatal(name, content):
    parsed = READERS[name].read(content)
    assert parsed.lines == content.count(b"\n") + (not content.endswith(b"\n") and content != b"")
    assert len(parsed.batch.hits) + parsed.malformed <= parsed.lines


RECORDS = [
    ({"headers": {"X-KEY": "ada"}, "method": "POST", "path": "/a?b=c"}, (b"header:x-key:ada", b"POST", b"/a")),
    ({"http_x_key": "ada", "request_method": "GET", "uri": "/a"}, (b"header:x-key:ada", b"GET", b"/a")),
    ({"X-Key": "ada", "request": "PUT /a?b HTTP/1.1"}, (b"header:x-key:ada", b"PUT", b"/a")),
    ({"x_key": 7, "request": "-"}, (b"header:x-key:7", None, None)),
    ({"headers": {}, "client": "192.0.2.1"}, (b"192.0.2.1", None, None)),
    ({"headers": {"x-key": "-"}, "ip": "192.0.2.1"}, (b"192.0.2.1", None, None)),
    ({"headers": {"x-key": {"a": 1}}, "ip": None}, (None, None, None)),
]


@pytest.mark.parametrize(("record", "expected"), RECORDS, ids=[str(each[0]) for each in RECORDS])
def test_headers_and_requests_are_found_in_records(record, expected):
    line = json.dumps({"time": START // 1_000_000, **record}).encode()
    parsed = Format("json", Wanted((Selector("header", "X-Key"),), request=True)).open(line).reader.read(line)
    assert parsed.batch == ([START], [expected])


@pytest.mark.parametrize(
    ("key", "expected"),
    [("field:user.id", b"7"), ("field:user", None), ("field:user.id.x", None), ("regex:user.: .(.)", b'"')],
)
def test_other_keys_are_found_in_records(key, expected):
    record = json.dumps({"time": START // 1_000_000, "user": {"id": 7}}).encode()
    reader = Format("json", Wanted((selector(key),))).open(record).reader
    assert reader.read(record).batch == ([START], [expected])


def test_a_log_may_declare_other_columns_later(tmp_path):
    first = "#Software: IIS\n#Fields: date time c-ip cs-uri-stem\n" + "2025-10-10 12:00:00 192.0.2.1 /a\n" * 3
    second = "#Fields: date time cs-method cs-uri-stem c-ip\n" + "2025-10-10 12:00:01 GET /a 192.0.2.2\n" * 3
    (tmp_path / "log").write_text(first + first + second + second + first)
    wanted = Wanted((Selector("ip"),))
    with readers(1) as read:
        (log,), batches = batches_of(
            [Source(str(tmp_path / "log"))], Format("auto", wanted), 10**9, read, lambda _: None
        )
        hits = [hit for batch in batches for hit in batch.hits]
    assert (hits, log.malformed) == ([b"192.0.2.1"] * 9 + [b"192.0.2.2"] * 6, 0)
