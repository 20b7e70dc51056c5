"""In every framework, listeners and metrics see the decisions about requests."""

import pytest

from tests.adapters.services import Call
from tests.events.scraping import exporting
from traffik import EXEMPTED, HTTPThrottle, subscribe
from traffik.events import observers


@pytest.fixture(autouse=True)
def _nothing_watches():
    yield
    assert observers.observers() == ()


@pytest.fixture
def events(uid):
    """Waits until all events are delivered; returns their outcomes and costs."""
    found = []
    with subscribe(found.append, limit=f"{uid}*") as subscription:

        def so_far():
            assert subscription.flush(10)
            return [(event.uid.removeprefix(uid), event.outcome, event.cost) for event in found]

        yield so_far


def test_a_hit_in_an_endpoint_is_an_event(served, uid, events):
    client = served(Call("hit", HTTPThrottle(uid, "3/min"), 2))
    assert [client.get("/").status_code for _ in range(2)] == [200, 429]
    assert events() == [("", "admitted", 2), ("", "refused", 2)]


def test_a_hit_of_a_decorator_is_an_event(served, uid, events):
    client = served(decorated={"/": [HTTPThrottle(uid, "1/min")]})
    assert [client.get("/").status_code for _ in range(2)] == [200, 429]
    assert events() == [("", "admitted", 1), ("", "refused", 1)]


def test_each_throttle_of_one_decision_has_an_event(served, uid, events):
    throttles = [HTTPThrottle(f"{uid}:ample", "9/min"), HTTPThrottle(f"{uid}:scarce", "1/min")]
    client = served(decorated={"/": throttles})
    assert [client.get("/").status_code for _ in range(2)] == [200, 429]
    assert events() == [(":ample", "admitted", 1), (":scarce", "admitted", 1), (":scarce", "refused", 1)]


def test_an_exemption_is_an_event_but_a_check_is_not(served, uid, events):
    throttle = HTTPThrottle(uid, "1/min", identifier=lambda connection: EXEMPTED)
    assert served(Call("check", throttle), Call("hit", throttle)).get("/").status_code == 200
    assert events() == [("", "exempted", 1)]


def test_metrics_count_requests(served, uid):
    client = served(Call("hit", HTTPThrottle(uid, "1/min")))
    with exporting(limit=uid) as exported:
        assert [client.get("/").status_code for _ in range(3)] == [200, 429, 429]
        scraped = exported.scrape()
    assert scraped["traffik_decisions_total", "admitted", uid] == 1
    assert scraped["traffik_decisions_total", "refused", uid] == 2


def test_a_failing_listener_does_not_fail_requests(served, uid):
    client = served(Call("hit", HTTPThrottle(uid, "1/min")))
    with subscribe(lambda event: 1 / 0, limit=uid) as subscription:
        assert [client.get("/").status_code for _ in range(2)] == [200, 429]
        assert subscription.flush(10)
    assert subscription.errors == 2
