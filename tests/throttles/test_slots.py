"""`Throttle.slot`: how many requests of a client are served at once."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from tests import toy
from traffik import (
    EXEMPTED,
    ConfigurationError,
    HTTPThrottle,
    SlidingLog,
    Throttled,
    WebSocketThrottle,
    get_wait,
    is_throttled,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def throttle(store):
    return HTTPThrottle("reports", "1/60s", strategy=SlidingLog(), backend=store)


@pytest.mark.parametrize("wait", [False, 0, 0.05])
async def test_a_slot_that_is_not_free_rejects_the_connection(throttle, wait):
    refused = toy.Request()
    async with throttle.slot(toy.Request()) as slot:
        assert slot
        with pytest.raises(Throttled) as caught:
            await throttle.slot(refused, wait=wait).__aenter__()
        assert ("Retry-After", "60") in caught.value.rejection.headers
    assert (is_throttled(refused), get_wait(refused)) == (True, 60_000)
    assert (await throttle.stat(refused)).hits_remaining == 1


async def test_sync_code_has_the_same_slots(throttle):
    with throttle.sync.slot(toy.Request()), pytest.raises(Throttled):
        throttle.sync.slot(toy.Request()).__enter__()
    async with throttle.slot(toy.Request()):
        pass


async def test_each_client_has_its_own_slots_and_exempted_ones_need_none(throttle, store):
    exempt = HTTPThrottle("exempt", "1/60s", identifier=lambda _: EXEMPTED, strategy=SlidingLog(), backend=store)
    slots = [throttle.slot(toy.Request("a")), throttle.slot(toy.Request("b"))]
    slots += [exempt.slot(toy.Request()), exempt.slot(toy.Request())]
    async with AsyncExitStack() as stack:
        assert all([await stack.enter_async_context(slot) for slot in slots])


async def test_a_cost_above_the_limit_is_rejected_at_once(throttle):
    with pytest.raises(Throttled):
        await throttle.slot(toy.Request(), 2, wait=True).__aenter__()


async def test_a_websocket_that_got_the_message_has_a_false_slot(store):
    throttle = WebSocketThrottle("chat", "1/60s", strategy=SlidingLog(), backend=store)
    messages = []
    async with throttle.slot(toy.Socket(messages)), throttle.slot(toy.Socket(messages)) as slot:
        assert not slot
    assert [message["type"] for message in messages] == ["rate_limit"]


async def test_a_throttle_with_slots_needs_the_sliding_log(store):
    with pytest.raises(ConfigurationError, match="need the strategy SlidingLog"):
        await HTTPThrottle("reports", "1/60s", backend=store).slot(toy.Request()).__aenter__()


async def test_a_shadow_throttle_rejects_nothing_and_reports(store):
    throttle = HTTPThrottle("reports", "1/60s", strategy=SlidingLog(), backend=store, shadow=True)
    async with throttle.slot(toy.Request()), throttle.slot(toy.Request()) as slot:
        assert slot
        assert (await throttle.stat(toy.Request())).hits_remaining == 0
    assert (await throttle.stat(toy.Request())).hits_remaining == 1
    assert throttle.shadow_report[:2] == (1, 1)
