"""Limits can be pickled and copied."""

from __future__ import annotations

import copy
import multiprocessing
import pickle

import pytest

from traffik import FixedWindow, HTTPThrottle, Limiter, Rule, WebSocketThrottle
from traffik.backends.inmemory import InMemoryBackend


def who(request):
    return "ada"


def hits_of(limiter):
    """Runs in a spawned worker: opens a store and hits the limiter; the results."""
    with InMemoryBackend():
        return [limiter.sync.hit("ada").remaining for _ in range(2)]


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda limit: pickle.loads(pickle.dumps(limit))])
def test_a_copy_is_the_same_limit(again):
    throttle = HTTPThrottle("a", "5/min", identifier=who, rules=Rule("/a"), strategy=FixedWindow())
    copied = again(throttle)
    assert (copied.uid, copied.definition, copied.rules) == (throttle.uid, throttle.definition, throttle.rules)
    assert again(throttle.sync)._limit.uid == "a"
    assert again(WebSocketThrottle(uid="b", rate="1/s")).uid == "b"


def test_a_copy_counts_in_the_same_quota(store):
    limiter = Limiter("a", "5/min")
    limiter.sync.hit("ada")
    assert copy.copy(limiter).sync.hit("ada").remaining == 3


def is_odd(request):
    return True


class Daily(Limiter):
    def __init__(self, uid, limit, *, unit="day"):
        super().__init__(uid, f"{limit}/{unit}")
        self.unit = unit


def by_pickle(limit):
    return pickle.loads(pickle.dumps(limit))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, by_pickle])
def test_a_copy_has_the_changes_made_after_the_limit_was_created(again):
    throttle = HTTPThrottle("a", "5/min", rules=(Rule("/a"), Rule(when=is_odd)))
    throttle.remove_rule(Rule("/a"))
    throttle.add_rule(Rule("/b"))
    throttle.disable()
    copied = again(throttle)
    assert (copied.rules, copied.enabled) == (throttle.rules, False)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, by_pickle])
def test_a_subclass_is_copied_with_its_own_arguments(again):
    copied = again(Daily("a", 5, unit="hour"))
    assert (type(copied), copied.unit, str(copied.own_plan.rates[0])) == (Daily, "hour", "5/hour")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
def test_a_copy_keeps_its_store_and_its_functions(again, store):
    copied = again(Limiter("a", lambda identity: "5/min", backend=store))
    assert copied.backend is store
    assert copied.sync.hit("ada").remaining == 4


def test_an_argument_that_cannot_be_pickled_is_named():
    with pytest.raises(TypeError, match=r"its rate cannot: .*defined at the top level of a module"):
        pickle.dumps(Limiter("a", lambda identity: "5/min"))


def test_a_spawned_worker_has_the_limit():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(hits_of, (Limiter("a", "5/min"),)) == [4, 3]


def test_a_limit_with_a_store_cannot_be_pickled_and_says_why(store):
    with pytest.raises(TypeError, match=r"cannot be pickled.*open a store in each process"):
        pickle.dumps(Limiter("a", "5/min", backend=store))
