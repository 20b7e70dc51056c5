"""`Limiter.wait` of a single caller: the pauses, the timeout, the costs."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import pytest

from tests.recording import RecordingBackend
from traffik import (
    DENIED,
    ConfigurationError,
    Decision,
    Limiter,
    NeverAdmittedError,
    SlidingLog,
    Transition,
    WaitTimeoutError,
)
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits import queues, timing
from traffik.model.decisions import REFUSED

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["memory", "remote"])
def store(clock, request):
    return RecordingBackend(clock=clock, remote=request.param)


@pytest.fixture
def pauses(clock):
    """The pauses that the clock has skipped, in µs."""
    with clock.skipping_pauses() as skipped:
        yield skipped


@pytest.fixture(autouse=True)
def _no_queue_stays():
    yield
    assert queues._queues == {}


@pytest.fixture
def limiter(store):
    return Limiter("mails", "2/min", strategy=SlidingLog(), backend=store)


async def test_an_admitted_wait_is_a_hit(limiter, store, pauses):
    decision = await limiter.wait("ada")
    assert (decision.allowed, decision.remaining) == (True, 1)
    assert store.charged == [("ada", 1, True)]
    assert pauses == []


async def test_a_wait_sleeps_exactly_as_announced(limiter, store, pauses, clock):
    await limiter.hit("ada", 2)
    clock.advance(seconds=20, microseconds=7)
    assert await limiter.wait("ada")
    assert pauses == [39_999_993]
    assert [allowed for _, _, allowed in store.charged] == [True, False, True]


async def test_a_wait_takes_its_cost_and_counts_in_its_scope(limiter, pauses):
    await limiter.wait("ada", 2, context={"scope": "upload"})
    assert (await limiter.stat("ada")).hits_remaining == 2
    assert (await limiter.stat("ada", context={"scope": "upload"})).hits_remaining == 0


async def test_a_refused_wait_after_a_hit_of_another_client_sleeps_again(limiter, pauses, clock):
    await limiter.hit("ada", 2)
    stolen = False

    async def steal():
        nonlocal stolen
        if not stolen and len(pauses) == 1:
            stolen = bool(await limiter.hit("ada", 2))

    decision = await wait_with(limiter, steal)
    assert (decision.allowed, stolen, pauses) == (True, True, [60_000_000, 60_000_000])


async def wait_with(limiter, after_each_pause):
    """Wait, and call a function after each pause; the decision."""
    sleep = timing.sleep

    async def sleep_and_call(wait):
        await sleep(wait)
        await after_each_pause()

    timing.sleep = sleep_and_call
    try:
        return await limiter.wait("ada", 1)
    finally:
        timing.sleep = sleep


@pytest.mark.parametrize("timeout", [0, 0.5, 59.999999])
async def test_a_timeout_that_is_too_short_is_raised_without_sleeping(limiter, pauses, timeout):
    await limiter.hit("ada", 2)
    with pytest.raises(WaitTimeoutError, match=r"'mails' admits nothing within .* s: the wait is 60 s") as caught:
        await limiter.wait("ada", timeout=timeout)
    assert (caught.value.decision.allowed, caught.value.decision.retry_after) == (False, 60_000_000)
    assert pauses == []
    assert isinstance(caught.value, TimeoutError)


async def test_a_timeout_that_is_just_enough_is_waited_for(limiter, pauses):
    await limiter.hit("ada", 2)
    assert await limiter.wait("ada", timeout=60)
    assert pauses == [60_000_000]


async def test_a_timeout_of_zero_tries_once(limiter, pauses):
    assert [bool(await limiter.wait("ada", timeout=0)) for _ in range(2)] == [True, True]
    with pytest.raises(WaitTimeoutError):
        await limiter.wait("ada", timeout=0)


async def test_a_timeout_consumes_nothing(limiter, pauses, clock):
    await limiter.hit("ada", 2)
    with pytest.raises(WaitTimeoutError):
        await limiter.wait("ada", timeout=1)
    clock.advance(seconds=60)
    assert (await limiter.stat("ada")).hits_remaining == 2


async def test_a_cost_above_the_capacity_is_refused_at_once(limiter, store, pauses):
    with pytest.raises(NeverAdmittedError, match="'mails' can never admit this cost: the largest it admits is 2"):
        await limiter.wait("ada", 3)
    assert (store.charged, pauses) == ([], [])


async def test_a_limit_that_admits_nothing_is_refused_at_once(store, pauses):
    with pytest.raises(NeverAdmittedError, match="'closed' admits nothing at all"):
        await Limiter("closed", "0/min", backend=store).wait("ada")


async def test_a_denied_identity_is_refused_at_once(limiter, pauses):
    with pytest.raises(NeverAdmittedError, match="'mails' denies this identity") as caught:
        await limiter.wait(DENIED)
    assert caught.value.decision.degraded == "denied"


async def test_a_timeout_error_can_be_copied_and_pickled(limiter):
    with pytest.raises(NeverAdmittedError) as caught:
        await limiter.wait("ada", 3)
    for other in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert (str(other), other.decision) == (str(caught.value), caught.value.decision)


@pytest.mark.parametrize("kind", [WaitTimeoutError, NeverAdmittedError])
def test_an_unsuccessful_wait_is_pickled_with_its_decision(kind):
    copy = pickle.loads(pickle.dumps(kind("no", REFUSED)))
    assert (type(copy), str(copy), copy.decision) == (kind, "no", REFUSED)


async def test_a_disabled_limiter_a_cost_of_zero_and_an_unlimited_rate_admit_at_once(limiter, store, pauses):
    assert await Limiter("free", "unlimited", backend=store).wait("ada", 10)
    assert await limiter.wait("ada", 0)
    limiter.disable()
    assert await limiter.wait("ada", 3)
    assert (store.charged, pauses) == ([], [])


@pytest.mark.parametrize("option", ["timeout", "jitter"])
@pytest.mark.parametrize(
    ("value", "error"),
    [("1", TypeError), (True, TypeError), (-1, ValueError), (float("nan"), ValueError), (float("inf"), ValueError)],
)
async def test_bad_spans_are_errors_that_name_them(limiter, store, option, value, error):
    with pytest.raises(error, match=f"a {option} is a .*number of seconds"):
        await limiter.wait("ada", **{option: value})
    assert store.charged == []


async def test_a_bad_cost_is_the_error_of_a_hit(limiter):
    with pytest.raises(TypeError, match="a cost is"):
        await limiter.wait("ada", 1.5)


async def test_jitter_makes_a_pause_longer_by_at_most_its_value(limiter, pauses):
    for _ in range(20):
        await limiter.wait("ada", 2, jitter=3)
    assert len(pauses) == 19
    assert all(60_000_000 - 3_000_000 <= pause <= 63_000_000 for pause in pauses)
    assert len(set(pauses)) > 1


async def test_jitter_does_not_go_beyond_the_timeout(limiter, pauses):
    await limiter.hit("ada", 2)
    assert await limiter.wait("ada", timeout=60, jitter=1000)
    assert pauses == [60_000_000]


@dataclass(frozen=True)
class Vague:
    """A strategy that does not know how long the wait is."""

    def decide(self, state, rate, cost, now):
        admitted = state is None or now >= state[0] + rate.period
        decision = Decision(admitted, rate.limit, 0)
        return Transition(decision, (now,) if admitted else state, rate.period)


async def test_a_strategy_without_waits_is_asked_ten_times_a_second(store, pauses):
    limiter = Limiter("vague", "1/s", strategy=Vague(), backend=store)
    await limiter.wait("ada")
    await limiter.wait("ada")
    assert pauses == [100_000] * 10


AWAY = Decision(False, 2, 0, retry_after=1, degraded="unavailable")


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        (AWAY, 100_000),
        (AWAY._replace(retry_after=700_000), 700_000),
        (AWAY._replace(degraded="fallback", retry_after=3_600_000_000), 5_000_000),
        (AWAY._replace(degraded="on_error", retry_after=0), 100_000),
        (AWAY._replace(degraded="cached", retry_after=7_000_000), 7_000_000),
    ],
)
async def test_an_unavailable_store_is_asked_again_after_a_bounded_pause(limiter, store, pauses, answer, pause):
    store.answers = [answer] * 3
    assert await limiter.wait("ada")
    assert pauses == [pause] * 3


async def test_a_wait_for_an_unavailable_store_ends_at_the_timeout(limiter, store, pauses):
    store.answers = [AWAY._replace(retry_after=700_000)] * 9
    with pytest.raises(WaitTimeoutError) as caught:
        await limiter.wait("ada", timeout=2)
    assert caught.value.decision == AWAY._replace(retry_after=700_000)
    assert pauses == [700_000] * 2


async def test_sync_code_in_an_event_loop_is_an_error_that_suggests_await(limiter):
    with pytest.raises(ConfigurationError, match=r"sync\.wait of 'mails' would block the event loop"):
        limiter.sync.wait("ada")


async def test_if_the_store_closes_a_wait_raises_the_error_of_a_hit():
    limiter = Limiter("mails", "1/min")
    async with InMemoryBackend():
        await limiter.wait("ada")
    with pytest.raises(ConfigurationError, match="there is no store to count in"):
        await limiter.wait("ada")
