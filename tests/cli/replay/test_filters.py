"""Filters of requests: by method and path, by a field, by network."""

from __future__ import annotations

import pytest

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.batches import Wanted
from traffik_cli.replay.filters import filters_of
from traffik_cli.replay.selectors import Selector

IP, STATUS, KEY = Selector("ip"), Selector("field", "status"), Selector("header", "X-Key")
HITS = [
    (b"10.0.0.7", b"200", b"header:x-key:ada", b"POST", b"/login"),
    (b"[2001:db8::1]:443", b"404", b"2001:db8::1", b"GET", b"/api/items/7"),
    (b"192.0.2.1", None, b"header:x-key:bob", b"HEAD", b"/caf%C3%A9"),
    (b"-", b"503", b"-", None, None),
]


def kept(only=(), where=(), ignored=()):
    keep = filters_of(only, where, ignored).keeping(Wanted((IP, STATUS, KEY), request=True))
    return [place for place, hit in enumerate(HITS) if keep(hit)]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["POST /login"], [0]),
        (["/api/**", "/login"], [0, 1]),
        (["GET"], [1, 2]),
        (["get,post"], [0, 1, 2]),
        (["/café"], [2]),
    ],
)
def test_only_keeps_requests_by_method_and_path(only, expected):
    assert expected == kept(only=only)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["field:status=200"], [0]),
        (["field:status!=200"], [1, 2, 3]),
        (["field:status=*0*", "field:status!=503"], [0, 1]),
        (["field:status="], [2]),
        (["header:X-Key=a*"], [0]),
        (["header:X-Key="], [1, 3]),
    ],
)
def test_where_keeps_requests_by_the_value_of_a_field(where, expected):
    assert expected == kept(where=where)


@pytest.mark.parametrize(
    ("ignored", "expected"),
    [(["10.0.0.0/8"], [1, 2, 3]), (["2001:db8::/32", "192.0.2.1"], [0, 3]), (["10.0.0.9/8"], [1, 2, 3])],
)
def test_ignore_leaves_out_the_clients_of_a_network(ignored, expected):
    assert expected == kept(ignored=ignored)


def test_a_request_must_pass_all_filters():
    assert kept(only=["GET"], where=["field:status=404"], ignored=["2001:db8::/32"]) == []


def test_a_network_can_filter_hits_without_other_fields():
    keep = filters_of((), (), ["10.0.0.0/8"]).keeping(Wanted((IP,)))
    assert [keep(hit) for hit in (b"10.0.0.1", b"192.0.2.1", None)] == [False, True, True]


def test_without_filters_no_function_is_made():
    assert filters_of((), (), ()).keeping(Wanted((IP,))) is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("only", "POST GET /x", "too many words"),
        ("only", "", "matches no requests"),
        ("only", "lo gin", "POST /login"),
        ("where", "status=200", "field:NAME=VALUE"),
        ("ignored", "10.0.0.0/99", "is not a network"),
    ],
)
def test_an_invalid_filter_is_an_error(name, text, message):
    given = {"only": (), "where": (), "ignored": ()} | {name: [text]}
    with pytest.raises(ConfigurationError, match=message):
        filters_of(**given)
