"""Listeners and metrics learn what a shadow decides, and that it was on trial."""

import pytest

from tests.events.scraping import exporting
from traffik import Limiter, SlidingLog, subscribe

pytestmark = pytest.mark.anyio


@pytest.fixture
def told():
    """Waits for the events so far, and returns their outcome, action and whether they were on trial."""
    events = []
    with subscribe(events.append) as subscription:

        def so_far():
            assert subscription.flush()
            return [(event.outcome, event.action, event.shadow) for event in events]

        yield so_far


async def test_a_shadow_limit_makes_events_of_what_it_would_do(store, told):
    limiter = Limiter("trial", "1/min", shadow=True, backend=store)
    assert all([await limiter.hit("ada"), limiter.sync.hit("ada")])
    assert told() == [("admitted", "hit", True), ("refused", "hit", True)]


async def test_a_shadow_rate_makes_an_event_beside_the_live_one(store, told):
    limiter = Limiter("trial", "9/min", shadow_rate="1/min", backend=store)
    await limiter.hit("ada", 2)
    assert sorted(told()) == [("admitted", "hit", False), ("refused", "hit", True)]


async def test_a_promoted_shadow_is_on_trial_no_longer(store, told):
    limiter = Limiter("trial", "1/min", shadow=True, backend=store)
    limiter.promote()
    await limiter.hit("ada")
    assert told() == [("admitted", "hit", False)]


async def test_metrics_count_trials_apart(store):
    with exporting() as exported:
        limiter = Limiter("trial", "1/min", shadow=True, backend=store)
        for _ in range(3):
            await limiter.hit("ada")
        scraped = exported.scrape()
    counts = {name[1]: value for name, value in scraped.items() if name[0] == "traffik_decisions_total"}
    assert counts == {"shadow-admitted": 1, "shadow-refused": 2}


async def test_waits_and_slots_make_one_event_each(store, told):
    limiter = Limiter("trial", "1/min", shadow=True, strategy=SlidingLog(), backend=store)
    await limiter.wait("ada")
    async with limiter.slot("ada"):
        pass
    assert [each for each in told() if each[1] != "refund"] == [("admitted", "hit", True), ("refused", "hit", True)]
