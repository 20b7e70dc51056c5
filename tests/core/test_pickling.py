"""A limit is copied and pickled by repeating the call that made it."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.core import toy
from traffik import HTTPThrottle, Limiter, Rule, TokenBucket, WebSocketThrottle
from traffik.backends.inmemory import InMemoryBackend


def by_name(request):
    return "ada"


def is_odd(request):
    return True


class Daily(Limiter):
    def __init__(self, uid, limit, *, unit="day"):
        super().__init__(uid, f"{limit}/{unit}")
        self.unit = unit


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {protocol}": lambda limit, p=protocol: pickle.loads(pickle.dumps(limit, p)) for protocol in (2, 5)},
}
RULES = (Rule("/a/**", methods=["GET"]), Rule(when=is_odd))


@pytest.fixture(params=COPIES)
def copied(request):
    return COPIES[request.param]


@pytest.mark.parametrize("kind", [HTTPThrottle, WebSocketThrottle])
def test_a_copy_of_a_throttle_has_its_settings(kind, copied):
    throttle = kind(
        "copied", rate="5/min", identifier=by_name, cost=2, strategy=TokenBucket(burst=7), rules=RULES, context={"a": 1}
    )
    again = copied(throttle)
    assert again is not throttle
    assert again.definition == throttle.definition
    assert (again.uid, again.cost, again.rules, again.context) == ("copied", 2, throttle.rules, {"a": 1})


def test_a_copy_has_what_was_changed_since(copied):
    throttle = HTTPThrottle("copied", "5/min", rules=RULES)
    throttle.remove_rule(RULES[0])
    throttle.add_rule(Rule("/b"))
    throttle.disable()
    again = copied(throttle)
    assert (again.rules, again.enabled) == (throttle.rules, False)


def test_a_copy_shares_the_quota_of_the_original(copied, store):
    with store:
        limiter = Limiter("copied", "2/min")
        again = copied(limiter.sync)
        assert [limiter.sync.hit("a").allowed, again.hit("a").allowed, again.hit("a").allowed] == [True, True, False]


def test_a_subclass_is_made_by_a_call_of_its_own(copied):
    again = copied(Daily("copied", 5, unit="hour"))
    assert (type(again), again.unit, str(again.plan.rates[0])) == (Daily, "hour", "5/hour")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_keeps_its_store_and_its_functions(copied, store):
    again = copied(HTTPThrottle("copied", "5/min", backend=store, identifier=lambda request: "ada"))
    assert again.backend is store
    assert again.sync.check(toy.Request())


def used_up(limiter):
    with InMemoryBackend():
        return [limiter.hit("a").allowed for _ in range(3)]


def test_a_limit_works_in_a_spawned_process():
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(used_up, Limiter("copied", "2/min").sync).result() == [True, True, False]


def test_what_cannot_be_pickled_is_named_with_what_to_do():
    limiter = Limiter("copied", lambda identity: "5/min")
    with pytest.raises(pickle.PicklingError, match=r"its rate cannot: .*at the top of a module"):
        pickle.dumps(limiter)


def test_a_store_stays_in_its_process(store):
    with pytest.raises(pickle.PicklingError, match=r"its backend cannot: .*Open a store in the other process"):
        pickle.dumps(Limiter("copied", "5/min", backend=store))
