"""`is_throttled` and `get_wait`: the result of the most recent hit of a connection."""

import pytest
from starlette.requests import Request

from traffik import AdapterNotFoundError, HTTPThrottle, Throttled, get_wait, is_throttled

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


@pytest.fixture
def request_():
    return Request({"type": "http", "client": ("192.0.2.1", 1)})


@pytest.fixture
def tight(uid):
    return HTTPThrottle(f"{uid}-tight", "1/min", handle_throttled=lambda: None)


@pytest.fixture
def wide(uid):
    return HTTPThrottle(f"{uid}-wide", "9/min", handle_throttled=lambda: None)


def told(connection, *throttle):
    return is_throttled(connection, *throttle), get_wait(connection, *throttle)


async def test_without_a_hit_they_report_no_refusal(request_, tight):
    assert (told(request_), told(request_, tight)) == ((False, 0), (False, 0))


async def test_they_are_about_the_most_recent_hit(request_, tight, wide):
    seen = []
    for throttle in (tight, tight, wide, tight):
        await throttle.hit(request_)
        seen.append(told(request_))
    assert seen == [(False, 0), (True, 60_000), (False, 0), (True, 60_000)]


async def test_with_a_throttle_they_are_about_its_most_recent_hit(request_, tight, wide):
    for throttle in (tight, tight, wide):
        await throttle.hit(request_)
    assert (told(request_, tight), told(request_, wide)) == ((True, 60_000), (False, 0))


async def test_a_hit_without_a_cost_counts_as_the_most_recent(request_, tight):
    for cost in (1, 1, 0):
        await tight.hit(request_, cost)
    assert told(request_) == (False, 0)


async def test_a_hit_of_a_disabled_throttle_counts_as_the_most_recent(request_, tight):
    await tight.hit(request_, 1)
    await tight.hit(request_, 1)
    tight.disable()
    await tight.hit(request_, 1)
    assert told(request_) == (False, 0)


async def test_a_check_does_not_count_as_a_hit(request_, tight):
    await tight.hit(request_)
    assert not await tight.check(request_)
    assert told(request_) == (False, 0)


async def test_they_include_a_hit_that_raised(request_, uid):
    throttle = HTTPThrottle(uid, "0/min")
    with pytest.raises(Throttled):
        await throttle.hit(request_)
    assert is_throttled(request_)


async def test_they_include_hits_through_another_object_for_the_connection(request_, tight):
    await tight.hit(Request(request_.scope), 1)
    await tight.hit(Request(request_.scope), 1)
    assert told(request_) == (True, 60_000)


async def test_each_connection_has_its_own_result(request_, tight):
    await tight.hit(request_)
    await tight.hit(request_)
    assert told(Request({**Request({"type": "http"}).scope})) == (False, 0)


@pytest.mark.parametrize("wrong", [None, object(), "request"])
async def test_an_object_that_is_no_connection_is_an_error(wrong):
    with pytest.raises(AdapterNotFoundError, match="no adapter for"):
        is_throttled(wrong)
