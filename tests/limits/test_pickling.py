"""Limits are pickled and copied as they were made."""

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
    """What a spawned worker does with a limiter: it opens a store of its own."""
    with InMemoryBackend():
        return [limiter.sync.hit("ada").remaining for _ in range(2)]


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda limit: pickle.loads(pickle.dumps(limit))])
def test_a_copy_is_the_same_limit(again):
    throttle = HTTPThrottle("a", "5/min", identifier=who, rules=Rule("/a"), strategy=FixedWindow())
    copied = again(throttle)
    assert (copied.uid, copied.definition, copied.rules) == (throttle.uid, throttle.definition, throttle.rules)
    assert again(throttle.sync)._throttle.uid == "a"
    assert again(WebSocketThrottle(uid="b", rate="1/s")).uid == "b"


def test_a_copy_counts_in_the_same_quota(store):
    limiter = Limiter("a", "5/min")
    limiter.sync.hit("ada")
    assert copy.copy(limiter).sync.hit("ada").remaining == 3


def test_a_spawned_worker_has_the_limit():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(hits_of, (Limiter("a", "5/min"),)) == [4, 3]


def test_a_limit_with_a_store_says_why_not(store):
    with pytest.raises(TypeError, match=r"cannot be pickled.*open a store in each process"):
        pickle.dumps(Limiter("a", "5/min", backend=store))
