"""In one store, one uid has one definition."""

from __future__ import annotations

import re
from functools import partial

import pytest

from tests import toy
from traffik import DuplicateUidError, FixedWindow, HTTPThrottle, Limiter, notices
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits import uids
from traffik.model.functions import Written


def one_identity(connection):
    return "one"


def another_identity(connection):
    return "another"


@pytest.fixture(autouse=True)
def _no_uids_of_others(monkeypatch):
    monkeypatch.setattr(uids, "_claimed", {})
    monkeypatch.setattr(uids, "_looked_for", set())


def make_app(rate, store=None):
    """Make an application: a limit, and the store of its lifespan."""
    app, throttle = toy.App(), HTTPThrottle("uids", rate, strategy=FixedWindow())
    return app, throttle, InMemoryBackend() if store is None else store


async def admitted(app, throttle, store, requests=4):
    async with store.lifespan(app):
        return [(await throttle.decide(toy.Request(app=app))).allowed for _ in range(requests)].count(True)


def test_two_definitions_in_one_store_are_an_error_that_names_both_places(store):
    first = Limiter("uids", "1/min", backend=store)
    with pytest.raises(DuplicateUidError) as caught:
        Limiter("uids", "2/min", backend=store)
    places = re.findall(r"test_uids\.py:(\d+)", str(caught.value))
    assert (len(places), int(places[1]) - int(places[0])) == (2, 2)
    assert repr(first) in str(caught.value)


@pytest.mark.parametrize("named", [0, 1])
def test_a_limit_without_a_backend_is_checked_at_its_first_hit(store, named):
    stores = [store, None] if named == 0 else [None, store]
    both = [Limiter("uids", f"{limit}/min", backend=each) for limit, each in zip((1, 2), stores, strict=True)]
    with store:
        both[named].sync.hit("ada")
        for _ in range(2):
            with pytest.raises(DuplicateUidError):
                both[1 - named].sync.hit("ada")


def test_of_two_limits_without_a_backend_the_first_to_count_claims_the_store(store):
    both = [Limiter("uids", f"{limit}/min") for limit in (1, 2)]
    with store:
        both[1].sync.hit("ada")
        with pytest.raises(DuplicateUidError):
            both[0].sync.check("ada")
        assert both[1].sync.hit("ada")


def test_a_rate_function_is_checked_too(store):
    both = [Limiter("uids", rate) for rate in ("1/min", lambda: "1/min")]
    with store:
        both[0].sync.hit("ada")
        with pytest.raises(DuplicateUidError):
            both[1].sync.hit("ada")


@pytest.mark.anyio
async def test_applications_of_a_factory_have_the_rates_they_were_given():
    apps = [make_app("1/min"), make_app("3/min")]
    assert [await admitted(*app) for app in (*apps, *apps)] == [1, 3, 1, 3]


@pytest.mark.anyio
async def test_applications_that_run_at_once_have_the_rates_they_were_given():
    one, two = make_app("1/min"), make_app("3/min")
    async with one[2].lifespan(one[0]), two[2].lifespan(two[0]):
        assert [await admitted(*app) for app in (one, two)] == [1, 3]


@pytest.mark.anyio
async def test_another_definition_may_count_in_a_store_after_it_was_closed(store):
    assert [await admitted(*make_app(rate, store)) for rate in ("1/min", "3/min")] == [1, 3]


def test_another_definition_may_count_in_a_store_after_the_limit_was_deleted(store):
    with store:
        first, second = Limiter("uids", "1/min"), Limiter("uids", "2/min")
        first.sync.hit("ada")
        first.itself = first
        del first
        assert second.sync.hit("ada")


def test_two_definitions_in_different_places_are_noticed():
    both = [Limiter("uids", "1/min")]
    both.append(Limiter("uids", "2/min"))
    assert [(notice.id, notice.about) for notice in notices.said()] == [("defined-twice", "uids")]


def test_two_definitions_of_a_factory_are_not_noticed():
    assert len([make_app(rate) for rate in ("1/min", "2/min")]) == 2
    assert notices.said() == ()


def test_a_deleted_definition_is_not_noticed():
    limiter = Limiter("uids", "1/min")
    limiter.itself = limiter
    del limiter
    assert Limiter("uids", "2/min").enabled
    assert notices.said() == ()


def test_the_same_definition_is_accepted_again():
    assert len({Limiter("uids", rate) for rate in ("60/min", "60/m", ["60/1min"])}) == 3


def test_the_same_functions_are_accepted_again():
    both = [HTTPThrottle("uids", "1/min", identifier=one_identity, cost=lambda: 1) for _ in range(2)]
    assert len(both) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"rate": "2/min"},
        {"strategy": FixedWindow()},
        {"cost": 2},
        {"identifier": another_identity},
        {"rate": lambda: "1/min"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_any_difference_is_an_error(other, store):
    usual = {"rate": "1/min", "identifier": one_identity, "backend": store}
    first = HTTPThrottle("uids", **usual)
    with pytest.raises(DuplicateUidError):
        HTTPThrottle("uids", **{**usual, **other})
    assert first.enabled


def test_a_throttle_and_a_limiter_are_different_definitions(store):
    first = Limiter("uids", "1/min", backend=store)
    with pytest.raises(DuplicateUidError):
        HTTPThrottle("uids", "1/min", backend=store)
    assert first.enabled


def function_of(value):
    """Make a function that closes over `value`, directly or through another function."""
    return lambda: value


class Accounts:
    def __init__(self, name):
        self.name = name

    def who(self, connection):
        return self.name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (function_of("1/min"), function_of("1/min"), True),
        (function_of("1/min"), function_of("2/min"), False),
        (function_of(function_of(1)), function_of(function_of(1)), True),
        (function_of(function_of(1)), function_of(function_of(2)), False),
        (function_of({"a": [1]}), function_of({"a": [1]}), True),
        (partial(one_identity, 1), partial(one_identity, 1), True),
        (partial(one_identity, 1), partial(one_identity, 2), False),
        (Accounts("a").who, Accounts("b").who, False),
        (one_identity, partial(one_identity, 1), False),
        (FixedWindow(), FixedWindow(), True),
    ],
)
def test_functions_are_the_same_by_name_and_by_the_values_they_hold(one, other, same):
    assert (Written(one) == Written(other)) is same


def test_functions_with_other_defaults_are_different():
    one, other = [lambda plan=plan: plan for plan in ("1/min", "2/min")]
    assert Written(one) != Written(other)


def test_recursive_functions_can_be_compared():
    def make(value):
        def count(n):
            return count(n - 1) if n else value

        return count

    assert (Written(make(1)) == Written(make(1)), Written(make(1)) == Written(make(2))) == (True, False)


def test_lambdas_with_different_closures_are_different_definitions(store):
    first, *_ = made = [HTTPThrottle("uids", function_of("1/min"), backend=store) for _ in range(2)]
    with pytest.raises(DuplicateUidError):
        HTTPThrottle("uids", function_of("2/min"), backend=store)
    assert first in made


def test_limits_in_different_stores_are_independent():
    both = [Limiter("uids", f"{limit}/min", backend=InMemoryBackend()) for limit in (1, 2)]
    assert len(both) == 2


def test_a_collected_limit_frees_its_uid(store):
    limiter = Limiter("uids", "1/min", backend=store)
    limiter.itself = limiter
    del limiter
    assert Limiter("uids", "2/min", backend=store).enabled


def test_a_limit_that_fails_does_not_take_its_uid():
    with pytest.raises(TypeError):
        HTTPThrottle("uids", "1/min", identifier=5)
    assert Limiter("uids", "2/min").enabled


def test_a_limit_is_found_by_its_uid():
    limit = Limiter("uids", "1/min")
    assert (uids.holder("uids"), uids.holder("nobody's")) == (limit, None)


def test_uids_of_deleted_limits_are_forgotten():
    kept = [Limiter(f"kept:{number}", "1/min") for number in range(10)]
    for number in range(5_000):
        Limiter(f"made:{number}", "1/min")
    assert len(uids._claimed) <= 2_048
    assert {limit.uid for limit in uids.held()} >= {limit.uid for limit in kept}


def test_only_the_last_uids_that_were_looked_at_are_remembered(monkeypatch):
    monkeypatch.setattr(uids, "_ROOM", 1)
    both = [Limiter("uids", "1/min"), Limiter("others", "1/min")]
    both.append(Limiter("uids", "2/min"))
    both.append(Limiter("others", "2/min"))
    assert (len(notices.said()), uids._looked_for) == (2, {"others"})
