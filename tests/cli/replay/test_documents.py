"""JSON documents of any layout: arrays, objects over several lines, responses of services."""

from __future__ import annotations

import json

import pytest

from traffik_cli.replay.documents import unfolded

EVENTS = [{"time": second, "ip": "192.0.2.1", "text": "a, [b] {c}\n"} for second in range(50)]

DOCUMENTS = {
    "an array": json.dumps(EVENTS),
    "an array over lines": json.dumps(EVENTS, indent=2),
    "an array, one object a line": "[\n" + ",\n".join(map(json.dumps, EVENTS)) + "\n]\n",
    "two arrays": json.dumps(EVENTS[:20]) + "\n" + json.dumps(EVENTS[20:]),
    "objects over lines": "\n".join(json.dumps(event, indent=2) for event in EVENTS),
    "an answer": json.dumps({"events": EVENTS}, indent=1),
    "an answer in one line": json.dumps({"events": EVENTS, "nextToken": "a"}),
    "two answers": json.dumps({"Records": EVENTS[:20]}) + json.dumps({"Records": EVENTS[20:]}),
    "objects without lines": "".join(map(json.dumps, EVENTS)),
    "an answer in every line": "".join(
        json.dumps({"id": 1, "logEvents": EVENTS[n : n + 10]}) + "\n" for n in range(0, 50, 10)
    ),
    "an answer of Elasticsearch in one line": json.dumps(
        {"took": 1, "hits": {"hits": [{"_source": each} for each in EVENTS]}}
    ),
    "an answer of CloudWatch": json.dumps(
        {"results": [[{"field": name, "value": value} for name, value in each.items()] for each in EVENTS]}
    ),
    "an answer of Azure": json.dumps(
        {
            "tables": [
                {"columns": [{"name": each} for each in EVENTS[0]], "rows": [list(each.values()) for each in EVENTS]}
            ]
        }
    ),
    "an answer of Elasticsearch": json.dumps(
        {"took": 1, "hits": {"hits": [{"_source": each} for each in EVENTS]}}, indent=1
    ),
}


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_event_of_a_document_becomes_a_line(name, size):
    content = DOCUMENTS[name].encode()
    blocks = [content[:100], *(content[place : place + size] for place in range(100, len(content), size))]
    lines = b"".join(unfolded(blocks)).splitlines()
    assert list(map(json.loads, lines)) == EVENTS


def test_the_lines_of_streams_have_their_times():
    values = [["1760104536000000000", "a"], ["1760104537000000000", "b"]]
    content = json.dumps({"status": "success", "data": {"resultType": "streams", "result": [{"values": values}]}})
    lines = b"".join(unfolded([content.encode()])).splitlines()
    assert [json.loads(line) for line in lines] == [{"timestamp": time, "line": line} for time, line in values]


def test_the_attributes_of_open_telemetry_have_their_names():
    attributes = [{"key": "client.address", "value": {"stringValue": "192.0.2.1"}}]
    logged = {"timeUnixNano": "1", "body": {"stringValue": "a"}, "attributes": attributes}
    content = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [logged, logged]}]}]})
    lines = b"".join(unfolded([content.encode()])).splitlines()
    assert list(map(json.loads, lines)) == [{**logged, "body": "a", "attributes": {"client.address": "192.0.2.1"}}] * 2


def test_an_event_that_lists_something_is_one_event():
    content = b'{"ip": "192.0.2.1", "items": [{"id": 1}, {"id": 2}]}\n' * 2
    assert b"".join(unfolded([content])) == content


@pytest.mark.parametrize("content", [b"", b"[2001:db8::1] - -\n", b"[10/Oct/2025] x", b'{"a": 1}\n{"b": 2}\n', b"a\n"])
def test_other_logs_do_not_change(content):
    assert b"".join(unfolded([content])) == content


def test_the_end_of_a_truncated_document_is_malformed():
    lines = b"".join(unfolded([DOCUMENTS["an array over lines"].encode()[:-30]])).splitlines()
    assert list(map(json.loads, lines[:-1])) == EVENTS[:-1]
    assert lines[-1].startswith(b"{")
