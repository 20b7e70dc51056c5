"""The events that listeners get: one for each decision that counts."""

import pickle
import time

import pytest

from tests.recording import RecordingBackend
from traffik import DENIED, EXEMPTED, HTTPThrottle, Limiter, WaitTimeoutError, hit_all, subscribe
from traffik.limits import hits
from traffik.model.decisions import UNAVAILABLE, Decision

pytestmark = pytest.mark.anyio


@pytest.fixture
def events():
    return []


@pytest.fixture
def listening(events):
    with subscribe(events.append) as subscription:
        yield subscription


@pytest.fixture
def told(listening, events):
    """Waits until all events are delivered; returns some of their attributes."""

    def attributes(*names):
        assert listening.flush()
        return [tuple(getattr(event, name) for name in names) for event in events]

    return attributes


@pytest.fixture
def limiter(store):
    return Limiter("mails", "2/min", backend=store)


async def test_a_hit_is_an_event(limiter, told):
    await limiter.hit("ada", 2)
    await limiter.hit("ada")
    assert told("uid", "action", "outcome", "cost", "remaining", "wait", "degraded", "shadow", "policy", "key") == [
        ("mails", "hit", "admitted", 2, 0, 0, None, False, "mails", None),
        ("mails", "hit", "refused", 1, 0, 60_000_000, None, False, "mails", None),
    ]


async def test_an_event_has_the_time_in_microseconds(limiter, told):
    before = time.time_ns() // 1000
    await limiter.hit("ada")
    assert before <= told("when")[0][0] <= time.time_ns() // 1000


async def test_a_hit_in_sync_code_is_an_event(limiter, told):
    limiter.sync.hit("ada")
    assert told("outcome") == [("admitted",)]


async def test_a_check_and_a_stat_are_no_events(store, limiter, told):
    denied = Limiter("denied", lambda _: "1/min", backend=store)
    await limiter.check("ada")
    await limiter.check("ada", 3)
    await limiter.stat("ada")
    await denied.check("ada")
    assert told("outcome") == []


async def test_a_cost_of_zero_is_no_event(limiter, told):
    await limiter.hit("ada", 0)
    assert told("outcome") == []


async def test_a_disabled_limit_is_no_event(limiter, told):
    limiter.disable()
    await limiter.hit("ada")
    assert told("outcome") == []


async def test_a_cost_that_never_fits_is_refused(limiter, told):
    await limiter.hit("ada", 3)
    assert told("outcome", "cost") == [("refused", 3)]


async def test_the_policy_of_an_event_is_the_binding_one(store, told):
    limiter = Limiter("mails", "2/min; 3/hour", backend=store)
    for _ in range(3):
        await limiter.hit("ada")
    assert told("policy") == [("mails.1",), ("mails.1",), ("mails.1",)]


async def test_a_hit_under_an_unlimited_rate_is_an_exemption(store, told):
    await Limiter("mails", "unlimited", backend=store).hit("ada")
    assert told("outcome", "policy") == [("exempted", None)]


@pytest.mark.parametrize(("answer", "outcome"), [(EXEMPTED, "exempted"), (DENIED, "denied")])
async def test_events_show_exempted_and_denied_clients(store, told, answer, outcome):
    throttle = HTTPThrottle("mails", "1/min", backend=store, identifier=lambda _: answer)
    await hits.decide(throttle, object(), None, None, False)
    await hits.decide(throttle, object(), None, None, False, hits.read_only)
    assert told("outcome") == [(outcome,)]


async def test_an_event_shows_that_the_store_was_unavailable(clock, told):
    store = RecordingBackend(clock=clock)
    store.answers = [Decision(False, 2, 0, 1, 1, degraded=UNAVAILABLE)]
    await Limiter("mails", "2/min", backend=store).hit("ada")
    assert told("outcome", "degraded") == [("unavailable", "unavailable")]


async def test_a_whole_wait_is_one_event(limiter, told, clock):
    await limiter.hit("ada", 2)
    with clock.skipping_pauses():
        await limiter.wait("ada")
    assert told("action", "outcome") == [("hit", "admitted"), ("wait", "admitted")]


async def test_a_wait_that_times_out_is_one_refusal(limiter, told):
    await limiter.hit("ada", 2)
    with pytest.raises(WaitTimeoutError):
        await limiter.wait("ada", timeout=0)
    assert told("action", "outcome", "wait") == [("hit", "admitted", 0), ("wait", "refused", 60_000_000)]


async def test_each_limit_of_one_decision_has_an_event(store, limiter, told):
    other = Limiter("posts", "3/min", backend=store)
    await hit_all("ada", limiter, other)
    assert told("uid", "outcome", "remaining") == [("mails", "admitted", 1), ("posts", "admitted", 2)]


async def test_if_one_decision_refuses_only_the_limits_that_refused_have_events(store, limiter, told):
    other = Limiter("posts", "1/min", backend=store)
    await hit_all("ada", other)
    await hit_all("ada", limiter, other)
    assert told("uid", "outcome") == [("posts", "admitted"), ("posts", "refused")]


async def test_a_reservation_and_its_settlement_are_events(limiter, told):
    async with limiter.reserve("ada", 2) as reservation:
        await reservation.commit(1)
    assert told("action", "outcome", "cost") == [("reserve", "admitted", 2), ("refund", "refunded", 1)]


async def test_refunds_and_charges_are_events(limiter, told):
    await limiter.charge("ada", 2)
    await limiter.refund("ada", 1)
    assert told("action", "outcome", "cost", "remaining") == [
        ("charge", "charged", 2, 0),
        ("refund", "refunded", 1, 1),
    ]


async def test_taking_what_is_left_is_an_event(limiter, told):
    assert await limiter.take_up_to("ada", 5) == 2
    assert await limiter.take_up_to("ada", 5) == 0
    assert told("action", "outcome", "cost") == [("take", "admitted", 2), ("take", "refused", 5)]


async def test_an_event_is_plain_data(limiter, told, events):
    await limiter.hit("ada")
    told()
    assert pickle.loads(pickle.dumps(events[0])) == events[0]
    known = {"uid": "mails", "policy": "mails", "action": "hit", "outcome": "admitted", "cost": 1, "limit": 2}
    known |= {"remaining": 1, "wait_us": 0, "degraded": None, "shadow": False, "key": None}
    assert events[0].as_dict() == known | {"when_us": events[0].when}


async def test_with_a_secret_an_event_has_a_hash_of_the_key(limiter, events):
    with subscribe(events.append, secret=b"0123456789abcdef") as subscription:
        for client in ("ada", "bob", "ada"):
            await limiter.hit(client)
        subscription.flush()
    ada, bob, again = [event.key for event in events]
    assert len(ada) == 40
    assert ada == again != bob


async def test_a_subscription_may_select_limits_and_outcomes(store, limiter, events):
    other = Limiter("api:posts", "1/min", backend=store)
    with subscribe(events.append, limit="api:*", outcomes=["refused"]):
        for limit in (limiter, other, other):
            await limit.hit("ada")
    assert [(event.uid, event.outcome) for event in events] == [("api:posts", "refused")]


async def test_a_limit_that_is_made_later_is_watched(store, told):
    await Limiter("later", "1/min", backend=store).hit("ada")
    assert told("uid") == [("later",)]


async def test_a_sample_is_a_share_of_the_events(store, events):
    limiter = Limiter("many", "1000000/min", backend=store)
    with subscribe(events.append, sample=0.1):
        for _ in range(2000):
            limiter.sync.hit("ada")
    assert 100 < len(events) < 320


def test_after_the_end_nothing_is_recorded(limiter, events):
    subscription = subscribe(events.append)
    limiter.sync.hit("ada")
    assert subscription.close()
    limiter.sync.hit("ada")
    assert (len(events), limiter.finish) == (1, None)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"sample": 0}, ValueError),
        ({"sample": 1.1}, ValueError),
        ({"sample": True}, ValueError),
        ({"limit": ""}, ValueError),
        ({"limit": 3}, TypeError),
        ({"outcomes": []}, ValueError),
        ({"outcomes": "refused"}, TypeError),
        ({"capacity": 1}, ValueError),
    ],
)
def test_a_bad_argument_is_an_error(options, error):
    with pytest.raises(error):
        subscribe(print, **options)


def test_a_listener_can_be_called():
    with pytest.raises(TypeError, match="a listener is a function of an event, not 3"):
        subscribe(3)
