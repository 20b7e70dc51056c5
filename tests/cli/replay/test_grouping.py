"""Requests in groups, and the groups that are kept or joined."""

from __future__ import annotations

from collections import Counter

import pytest

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.batches import Wanted
from traffik_cli.replay.grouping import OTHERS, busiest, grouping_of, path_template
from traffik_cli.replay.history import History
from traffik_cli.replay.selectors import Selector

IP, PLAN = Selector("ip"), Selector("field", "plan")


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("/items/17", "/items/*"),
        ("/items/17/", "/items/*"),
        ("/items/2fd1e4c6-7a2d-4bed-9628-d9a5a3f0b1c2/parts", "/items/*/parts"),
        ("/blobs/9f86d081884c7d65", "/blobs/*"),
        ("/facade/deadbeef", "/facade/deadbeef"),
        ("/v2/users", "/v2/users"),
        ("/caf%C3%A9", "/café"),
    ],
)
def test_numbers_and_identifiers_in_a_path_become_placeholders(path, template):
    assert template == path_template(path)


@pytest.mark.parametrize(
    ("by", "hit", "label"),
    [
        (["path"], (b"a", None, b"GET", b"/x/1"), "/x/*"),
        (["path", "method"], (b"a", None, b"HEAD", b"/x/1"), "GET /x/*"),
        (["method"], (b"a", None, b"POST", b"/x/1"), "POST"),
        (["path"], (b"a", None, None, None), "no path"),
        (["field:plan"], (b"a", b"gold", b"GET", b"/"), "plan=gold"),
        (["field:plan", "method"], (b"a", None, b"GET", b"/"), "plan=none GET"),
    ],
)
def test_a_group_is_named_by_the_chosen_parts(by, hit, label):
    assert label == grouping_of(by).labels(Wanted((IP, PLAN), request=True))(hit)


def test_without_a_grouping_there_are_no_groups():
    assert grouping_of([]).labels(Wanted((IP,))) is None


def test_what_cannot_be_grouped_by():
    with pytest.raises(ConfigurationError, match="cannot group requests"):
        grouping_of(["plan"])


def test_the_groups_with_most_requests_are_kept():
    assert busiest(Counter(a=3, b=9, c=1), 2) == {"a": "a", "b": "b", "c": OTHERS}


def test_a_client_of_two_groups_counts_once_when_they_are_joined():
    history = History(IP)
    for now, group, key in [(1, "a", b"x"), (2, "b", b"x"), (3, "c", b"x"), (3, "b", b"y")]:
        history.add([now], [(group, key)])
    joined = history.regrouped({"a": "a", "b": OTHERS, "c": OTHERS})
    assert list(zip(joined.groups, joined.names, strict=True)) == [("a", b"x"), (OTHERS, b"x"), (OTHERS, b"y")]
    assert list(joined.clients) == [0, 1, 1, 2]
