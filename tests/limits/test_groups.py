"""Groups of limits, by their uids."""

from __future__ import annotations

import gc
import threading

import pytest

from tests import toy
from traffik import HTTPThrottle, Limiter, Rule, group
from traffik.limits import groups, uids


@pytest.fixture(autouse=True)
def _only_limits_of_this_test(monkeypatch):
    monkeypatch.setattr(uids, "_claimed", {})
    yield
    groups.forget_groups()


@pytest.fixture
def make(store):
    return lambda uid, **options: HTTPThrottle(uid, "0/min", backend=store, **options)


def admitted(*throttles, path="/"):
    return [throttle.sync.decide(toy.Request(path=path)).allowed for throttle in throttles]


def test_a_group_has_the_limits_whose_uid_matches(make):
    every = [make(uid) for uid in ("reg:a", "reg:b", "reg", "Reg:c")]
    assert sorted(limit.uid for limit in group("reg:*")) == ["reg:a", "reg:b"]
    assert list(group("reg")) == [every[2]]
    assert set(every) == set(group("*"))
    assert list(group("reg:[xy]")) == []


def test_a_group_keeps_no_limit_alive(make):
    throttle = make("reg:a")
    assert list(group("reg:*")) == [throttle]
    del throttle
    gc.collect()
    assert list(group("reg:*")) == []


def test_one_limit_a_group_or_all_can_be_disabled_and_enabled(make):
    every = make("reg:a"), make("reg:b"), make("reg-c")
    assert admitted(*every) == [False, False, False]
    group("reg:a").disable()
    assert admitted(*every) == [True, False, False]
    group("reg:*").disable()
    assert admitted(*every) == [True, True, False]
    group("*").disable()
    assert admitted(*every) == [True, True, True]
    group("reg:*").enable()
    assert admitted(*every) == [False, False, True]
    every[2].enable()
    assert admitted(*every) == [False, False, False]


def test_limiters_can_be_disabled_too(store):
    limiter = Limiter("reg:a", "0/min", backend=store)
    group("reg:*").disable()
    later = Limiter("reg:b", "0/min", backend=store)
    assert [each.sync.hit("somebody").allowed for each in (limiter, later)] == [True, True]


def test_a_call_on_a_group_applies_to_later_limits(make):
    group("reg:*").disable()
    group("reg:b").enable()
    group("other:*").disable()
    assert admitted(make("reg:a"), make("reg:b"), make("reg-c")) == [True, False, False]
    group("reg:*").enable()
    assert admitted(make("reg:d")) == [False]


def test_a_group_can_be_disabled_for_a_while(make):
    on, off, other = make("reg:on"), make("reg:off"), make("other")
    off.disable()
    with group("reg:*").disabled():
        made = make("reg:made")
        assert admitted(on, off, made, other) == [True, True, True, False]
    assert admitted(on, off, made, other, make("reg:later")) == [False, True, False, False, False]


def test_earlier_calls_on_groups_apply_again_afterwards(make):
    group("reg:*").disable()
    on, off = make("reg:on"), make("reg:off")
    on.enable()
    with group("*").disabled():
        made = make("reg:made")
        group("*").enable()
    assert admitted(on, off, made, make("reg:later")) == [False, True, True, True]


def test_a_call_on_all_limits_overrides_earlier_calls(make):
    group("reg:*").disable()
    group("*").enable()
    assert admitted(make("reg:a")) == [False]


def test_a_rule_is_added_to_existing_and_later_throttles(make, store):
    first, limiter = make("reg:a"), Limiter("reg:l", "0/min", backend=store)
    group("reg:*").add_rule(Rule("/health", bypass=True))
    every = first, make("reg:b"), make("reg-c")
    assert admitted(*every, path="/health") == [True, True, False]
    assert admitted(*every) == [False, False, False]
    assert not limiter.sync.hit("somebody")


def test_a_rule_is_added_once_to_the_rules_of_a_throttle(make):
    throttle = make("reg:a", rules=[Rule("/a")])
    for pattern in ("reg:*", "*", "reg:*"):
        group(pattern).add_rule(Rule("/b"))
    assert throttle.rules.rules == make("reg:b", rules=[Rule("/a")]).rules.rules == (Rule("/a"), Rule("/b"))


def test_a_rule_can_be_removed(make):
    rule = Rule("/health", bypass=True)
    first, own = make("reg:a"), make("reg:own", rules=[Rule("/a"), rule])
    group("reg:*").add_rule(rule)
    group("reg:*").remove_rule(rule)
    assert (first.rules, own.rules.rules, make("reg:b").rules) == (None, (Rule("/a"),), None)
    group("reg:*").remove_rule(rule)
    assert admitted(first, path="/health") == [False]


def test_a_rule_is_seen_at_once_in_another_thread(make):
    throttle, seen = make("reg:a"), []
    said, ready = threading.Event(), threading.Event()

    def work():
        seen.extend(admitted(throttle, path="/health"))
        ready.set()
        said.wait(10)
        seen.extend(admitted(throttle, path="/health"))

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(10)
    group("*").add_rule(Rule("/health", bypass=True))
    said.set()
    thread.join(10)
    assert seen == [False, True]


def test_limits_that_are_made_at_the_same_time_are_included(make):
    made, begin = [], threading.Barrier(2)

    def work():
        begin.wait(10)
        made.extend(make(f"reg:{number}") for number in range(200))

    thread = threading.Thread(target=work)
    thread.start()
    begin.wait(10)
    group("reg:*").disable()
    group("reg:*").add_rule(Rule("/health", bypass=True))
    thread.join(10)
    assert {(throttle.enabled, throttle.rules) for throttle in made} == {(False, made[0].rules)}
    assert made[0].rules.rules == (Rule("/health", bypass=True),)


@pytest.mark.parametrize(
    ("pattern", "error", "words"),
    [(5, TypeError, "such as 'api:\\*', not 5"), ("", ValueError, "'\\*' matches all")],
)
def test_an_invalid_pattern_is_an_error(pattern, error, words):
    with pytest.raises(error, match=words):
        group(pattern)


def test_only_rules_can_be_added_to_a_group(make):
    throttle = make("reg:a")
    with pytest.raises(TypeError, match="rules are made as"):
        group("reg:*").add_rule("/health")
    assert throttle.rules is None
    assert repr(group("reg:*")) == "group('reg:*')"
