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


@pytest.mark.parametrize("content", [b"", b"[2001:db8::1] - -\n", b"[10/Oct/2025] x", b'{"a": 1}\n{"b": 2}\n', b"a\n"])
def test_other_logs_do_not_change(content):
    assert b"".join(unfolded([content])) == content


def test_the_end_of_a_truncated_document_is_malformed():
    lines = b"".join(unfolded([DOCUMENTS["an array over lines"].encode()[:-30]])).splitlines()
    assert list(map(json.loads, lines[:-1])) == EVENTS[:-1]
    assert lines[-1].startswith(b"{")
