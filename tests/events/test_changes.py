"""Listeners of changes of rates."""

from __future__ import annotations

import pytest

from traffik import Limiter, subscribe_changes
from traffik.backends.inmemory import InMemoryBackend


@pytest.fixture
def api(store):
    with store:
        yield Limiter("api", "2/min", backend=store)


def test_a_listener_gets_the_changes_of_its_limits_until_it_ends(api):
    found = []
    with subscribe_changes(found.append, limit="a*") as mine, subscribe_changes(found.append, limit="b*") as other:
        change = api.sync.update_everywhere(rate="5/min")
        assert mine.flush(10)
        assert other.flush(10)
    api.sync.update_everywhere(rate="6/min")
    assert found == [change]


def test_an_async_listener_is_awaited(api):
    found = []

    async def listen(change):
        found.append(change.rate)

    with subscribe_changes(listen):
        api.sync.update_everywhere(rate="5/min")
    assert found == ["5/min"]


def test_a_listener_that_fails_is_logged_and_stops_nothing(api, caplog):
    with subscribe_changes(lambda change: 1 / 0):
        api.sync.update_everywhere(rate="5/min")
    assert "failed for an event" in caplog.text
    assert api.sync.stat("ada").hits_remaining == 5


def test_a_limit_that_counts_by_the_rate_already_makes_no_event(api):
    found = []
    with subscribe_changes(found.append):
        api.sync.update_everywhere(rate="2/min")
    assert found == []


def test_a_change_is_plain_values_for_logs(api):
    plain = api.sync.update_everywhere(rate="5/min", by="ops").as_dict()
    assert plain.pop("when_us") > 0
    assert plain == {"uid": "api", "version": 1, "rate": "5/min", "before": "2/min", "by": "ops", "reason": ""}


@pytest.mark.parametrize(
    ("listener", "limit", "error"), [(5, "*", TypeError), (print, 5, TypeError), (print, "", ValueError)]
)
def test_bad_arguments(listener, limit, error):
    with pytest.raises(error):
        subscribe_changes(listener, limit=limit)


def test_two_stores_are_followed_apart(clock):
    with InMemoryBackend(clock=clock) as one, InMemoryBackend(clock=clock) as other:
        limits = [Limiter("api", "2/min", backend=store) for store in (one, other)]
        limits[0].sync.update_everywhere(rate="5/min")
        assert [limit.sync.stat("ada").hits_remaining for limit in limits] == [5, 2]


def test_a_subscription_to_changes_may_be_closed_twice():
    subscription = subscribe_changes(print)
    assert (subscription.close(), subscription.close()) == (True, True)
