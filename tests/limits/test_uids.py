"""One uid, one limit."""

from __future__ import annotations

import re

import pytest

from traffik import DuplicateUidError, FixedWindow, HTTPThrottle, Limiter
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits import uids


def one_identity(connection):
    return "one"


def another_identity(connection):
    return "another"


def test_two_definitions_are_an_error_that_names_both_places():
    first = Limiter("uids", "1/min")
    with pytest.raises(DuplicateUidError) as caught:
        Limiter("uids", "2/min")
    places = re.findall(r"test_uids\.py:(\d+)", str(caught.value))
    assert (len(places), int(places[1]) - int(places[0])) == (2, 2)
    assert repr(first) in str(caught.value)


def test_the_same_definition_again_is_fine():
    assert len({Limiter("uids", rate) for rate in ("60/min", "60/m", ["60/1min"])}) == 3


def test_the_same_functions_again_are_fine():
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
def test_any_difference_is_an_error(other):
    usual = {"rate": "1/min", "identifier": one_identity}
    first = HTTPThrottle("uids", **usual)
    with pytest.raises(DuplicateUidError):
        HTTPThrottle("uids", **{**usual, **other})
    assert first.enabled


def test_a_throttle_is_no_limiter():
    first = Limiter("uids", "1/min")
    with pytest.raises(DuplicateUidError):
        HTTPThrottle("uids", "1/min")
    assert first.enabled


def test_limits_on_stores_of_their_own_never_meet():
    both = [Limiter("uids", f"{limit}/min", backend=InMemoryBackend()) for limit in (1, 2)]
    assert len(both) == 2


def test_garbage_gives_its_uid_back():
    limiter = Limiter("uids", "1/min")
    limiter.itself = limiter
    del limiter
    assert Limiter("uids", "2/min").enabled


def test_a_limit_that_fails_does_not_take_its_uid():
    with pytest.raises(TypeError):
        HTTPThrottle("uids", "1/min", identifier=5)
    assert Limiter("uids", "2/min").enabled


def test_a_limit_is_found_by_its_uid():
    limit = Limiter("uids", "1/min")
    assert (uids.holder("uids"), uids.holder("nobody's")) == (limit, None)


def test_uids_that_nobody_holds_are_forgotten(monkeypatch):
    monkeypatch.setattr(uids, "_claimed", {})
    kept = [Limiter(f"kept:{number}", "1/min") for number in range(10)]
    for number in range(5_000):
        Limiter(f"made:{number}", "1/min")
    assert len(uids._claimed) <= 2_048
    assert {limit.uid for limit in uids.held()} >= {limit.uid for limit in kept}
