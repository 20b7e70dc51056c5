"""`Throttle.wait`: a request that waits for its quota instead of being rejected."""

from __future__ import annotations

import pytest
from anyio.to_thread import run_sync as in_thread

from tests import toy
from traffik import (
    DENIED,
    HTTPThrottle,
    NeverAdmittedError,
    Rule,
    SlidingLog,
    Throttled,
    WaitTimeoutError,
    get_wait,
    is_throttled,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def pauses(clock):
    with clock.skipping_pauses() as skipped:
        yield skipped


@pytest.fixture
def throttle(store):
    return HTTPThrottle("throttles", "2/min", strategy=SlidingLog(), backend=store)


async def test_a_wait_returns_the_decision_that_admits_and_remembers_it(throttle, pauses):
    await throttle.hit(toy.Request(), 2)
    connection = toy.Request()
    decision = await throttle.wait(connection)
    assert (decision.allowed, decision.remaining, pauses) == (True, 1, [60_000_000])
    assert not is_throttled(connection)
    assert connection.scope["decisions"] == {throttle: decision}


async def test_sync_code_waits_in_the_same_quota(throttle, pauses):
    await throttle.hit(toy.Request(), 2)
    assert await in_thread(throttle.sync.wait, toy.Request(), 2)
    assert pauses == [60_000_000]


async def test_a_timeout_is_raised_remembered_and_can_become_a_response(throttle):
    await throttle.hit(toy.Request(), 2)
    connection = toy.Request()
    with pytest.raises(WaitTimeoutError) as caught:
        await throttle.wait(connection, timeout=1)
    assert (is_throttled(connection), get_wait(connection)) == (True, 60_000)
    with pytest.raises(Throttled) as answered:
        await throttle.refuse(connection, caught.value.decision)
    assert answered.value.rejection.status == 429
    assert ("Retry-After", "60") in answered.value.rejection.headers


async def test_a_timeout_in_a_thread_is_remembered(throttle):
    await throttle.hit(toy.Request(), 2)
    connection = toy.Request()
    with pytest.raises(WaitTimeoutError):
        await in_thread(lambda: throttle.sync.wait(connection, timeout=1, context={"other": 1}))
    assert is_throttled(connection)


async def test_a_cost_above_the_capacity_and_a_denied_client_are_raised_at_once(throttle, store):
    with pytest.raises(NeverAdmittedError, match="the largest it admits is 2"):
        await throttle.wait(toy.Request(), 3)
    closed = HTTPThrottle("closed", "1/s", identifier=lambda: DENIED, backend=store)
    connection = toy.Request()
    with pytest.raises(NeverAdmittedError, match="'closed' denies this connection"):
        await closed.wait(connection)
    assert is_throttled(connection)


async def test_clients_do_not_wait_for_each_other(throttle, pauses):
    await throttle.hit(toy.Request(), 2)
    assert await throttle.wait(toy.Request(peer="198.51.100.1"), timeout=0)
    assert pauses == []


async def test_a_connection_that_no_rule_matches_does_not_wait(store, pauses):
    throttle = HTTPThrottle("ruled", "0/min", rules=Rule(methods={"POST"}), backend=store)
    assert await throttle.wait(toy.Request(method="GET"))
    with pytest.raises(NeverAdmittedError):
        await throttle.wait(toy.Request(method="POST"))


async def test_functions_of_a_throttle_are_called_once(store, pauses):
    calls = []

    async def price(connection):
        calls.append("cost")
        return 2

    throttle = HTTPThrottle("priced", "2/min", cost=price, strategy=SlidingLog(), backend=store)
    await throttle.wait(toy.Request())
    await throttle.wait(toy.Request())
    assert (calls, pauses) == (["cost"] * 2, [60_000_000])
