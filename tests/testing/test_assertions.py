"""The assertions for tests of an application."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from traffik import FixedWindow, HTTPThrottle, Limiter, RateError, TokenBucket
from traffik.testing import assert_allows, assert_throttled


def answer(status, **headers):
    return SimpleNamespace(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_refusal_gives_the_wait():
    assert assert_throttled(answer(429, Retry_After="7")) == 7
    assert assert_throttled(SimpleNamespace(status_code=429, status="429 No", headers={"Retry-After": "8"})) == 8


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (
            answer(200, Retry_After="7"),
            r"the status 200, not 429, so no throttle refused it: namespace\(status=200",
        ),
        (answer(429), "429 and no Retry-After: either it is not from a throttle, or the hit costs more"),
        (answer(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), "a number of seconds, not 'Wed, 21 Oct"),
        (answer(429, Retry_After="-1"), "a number of seconds, not '-1'"),
    ],
)
def test_a_response_that_is_no_refusal_fails_with_the_reason(response, message):
    with pytest.raises(AssertionError, match=message):
        assert_throttled(response)


@pytest.mark.parametrize("response", [429, None, SimpleNamespace(status_code=429), answer("429")])
def test_an_object_that_is_no_response_is_an_error(response):
    with pytest.raises(TypeError, match="a response has a status and headers"):
        assert_throttled(response)


@pytest.mark.parametrize(
    ("rate", "options", "requests", "per"),
    [
        ("5/min", {}, 5, "1 min"),
        ("5/min", {"cost": 2}, 2, "1 min"),
        ("10/s; 1000/hour", {}, 1000, "1 hour"),
        ("60/min", {"strategy": TokenBucket(burst=10)}, 69, "1 min"),
        ("5/min", {"strategy": FixedWindow()}, 5, "1 min"),
        ("100/day tz=UTC", {}, 200, "2 days"),
        ("0/min", {}, 0, "1 day"),
    ],
)
def test_a_limit_admits_exactly_so_many(store, rate, options, requests, per):
    limit = Limiter("mails", rate, backend=store, **options)
    assert_allows(limit, requests, per=per)
    for other in {max(0, requests - 1), requests + 1} - {requests}:
        with pytest.raises(AssertionError, match=rf"'mails'.* admits {min(requests, other + 1)}.* not {other}"):
            assert_allows(limit, other, per=per)


def test_a_limit_that_admits_everything_fails():
    with pytest.raises(AssertionError, match=r"uid='free' rate='unlimited'.* admits 6 or more in 1 min, not 5"):
        assert_allows(HTTPThrottle("free", "unlimited"), 5, per="1 min")


def test_no_quota_of_the_limit_is_used(store):
    limit = Limiter("mails", "5/min", backend=store)
    assert_allows(limit, 5, per="1 min")
    assert limit.sync.hit("ada").remaining == 4


@pytest.mark.parametrize(
    ("limit", "requests", "per", "error", "message"),
    [
        ("5/min", 5, "1 min", TypeError, "a limit is a throttle or a Limiter, not '5/min'"),
        (Limiter("a", lambda _: "5/min"), 5, "1 min", TypeError, "the rate of .* is a function"),
        (Limiter("b", "5/min", cost=lambda _: 2), 5, "1 min", TypeError, "the cost of .* is a function"),
        (Limiter("c", "5/min"), 5.0, "1 min", ValueError, r"an integer from 0, not 5\.0"),
        (Limiter("c", "5/min"), 5, "often", RateError, "per is a length of time"),
    ],
)
def test_wrong_arguments_are_errors(limit, requests, per, error, message):
    with pytest.raises(error, match=message):
        assert_allows(limit, requests, per=per)
