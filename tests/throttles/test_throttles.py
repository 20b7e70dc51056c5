"""Throttles with the toy framework of `tests.toy`."""

from __future__ import annotations

import inspect

import pytest

from tests import toy
from traffik import (
    EXEMPTED,
    AllOf,
    ConfigurationError,
    Decision,
    FixedWindow,
    HTTPThrottle,
    Limiter,
    Throttled,
    WebSocketThrottle,
    get_wait,
    is_throttled,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def throttle(store):
    return HTTPThrottle("throttles", "1/min", strategy=FixedWindow(), backend=store)


async def refused(throttle, connection, *arguments, **options):
    with pytest.raises(Throttled) as caught:
        await throttle.hit(connection, *arguments, **options)
    return caught.value


async def test_a_hit_returns_the_same_connection(throttle):
    connection = toy.Request()
    assert await throttle.hit(connection) is connection


async def test_a_refused_hit_raises_its_decision(throttle):
    await throttle.hit(toy.Request())
    error = await refused(throttle, toy.Request())
    assert error.rejection.status == 429
    assert error.decision.retry_after == 60_000_000
    assert error.rejection.detail == "Too many requests. Retry in 60 seconds."


async def test_a_throttle_can_be_called(throttle):
    connection = toy.Request()
    assert await throttle(connection) is connection
    with pytest.raises(Throttled):
        await throttle(toy.Request())


async def test_sync_code_counts_in_the_same_quota(throttle):
    connection = toy.Request()
    assert throttle.sync.hit(connection) is connection
    assert not throttle.sync.check(connection)
    assert throttle.sync.stat(connection).hits_remaining == 0
    await refused(throttle, connection)
    throttle.sync.reset(connection)
    assert throttle.sync(connection) is connection


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
async def test_clients_are_distinguished_by_their_network(one, two, same, throttle):
    await throttle.hit(toy.Request(one))
    assert bool(await throttle.check(toy.Request(two))) is not same


async def test_a_connection_without_an_address_needs_an_identifier(throttle):
    with pytest.raises(ConfigurationError, match="give the throttle an identifier"):
        await throttle.hit(toy.Request(peer=None))


async def test_an_exempted_connection_is_not_limited(store):
    throttle = HTTPThrottle("throttles", "1/min", identifier=lambda _: EXEMPTED, backend=store)
    connection = toy.Request()
    for _ in range(3):
        await throttle.hit(connection)
    assert store.keys == 0
    assert await throttle.stat(connection) is None
    assert repr(EXEMPTED) == "EXEMPTED"


async def test_the_latest_hit_is_remembered_even_without_a_cost(throttle):
    connection = toy.Request()
    await throttle.hit(connection)
    await refused(throttle, connection)
    assert (is_throttled(connection), get_wait(connection)) == (True, 60_000)
    await throttle.hit(connection, cost=0)
    assert (is_throttled(connection), get_wait(connection)) == (False, 0)


async def test_the_latest_hit_of_one_throttle_is_remembered(throttle, store):
    other = HTTPThrottle("throttles:other", "9/min", backend=store)
    connection = toy.Request()
    await throttle.hit(connection)
    await refused(throttle, connection)
    await other.hit(connection)
    assert [is_throttled(connection), is_throttled(connection, throttle), is_throttled(connection, other)] == [
        False,
        True,
        False,
    ]
    assert [get_wait(connection), get_wait(connection, throttle)] == [0, 60_000]


def test_a_connection_that_was_never_hit_is_not_throttled(throttle):
    assert (is_throttled(toy.Request()), get_wait(toy.Request(), throttle)) == (False, 0)


async def test_a_check_is_not_remembered(throttle):
    connection = toy.Request()
    await throttle.hit(connection)
    assert not await throttle.check(connection)
    assert not is_throttled(connection)


async def test_a_check_has_the_wait_of_its_cost(store):
    throttle = HTTPThrottle("throttles", "2/min", strategy=FixedWindow(), backend=store)
    connection = toy.Request()
    await throttle.hit(connection)
    assert await throttle.check(connection)
    assert (await throttle.check(connection, cost=2)).retry_after == 60_000_000


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_handler_is_called_instead_of_the_rejection(is_async, store):
    seen = []

    async def later(connection, decision, throttle, context):
        seen.append((connection, decision.allowed, throttle, context))

    def at_once(connection, decision, throttle, context):
        seen.append((connection, decision.allowed, throttle, context))

    throttle = HTTPThrottle("throttles", "1/min", handle_throttled=later if is_async else at_once, backend=store)
    connection = toy.Request()
    for _ in range(2):
        assert await throttle.hit(connection, context={"a": 1}) is connection
    assert seen == [(connection, False, throttle, {"a": 1})]


async def test_a_handler_may_raise(store):
    def handler(connection):
        raise LookupError("come back later")

    throttle = HTTPThrottle("throttles", "1/min", handle_throttled=handler, backend=store)
    await throttle.hit(toy.Request())
    with pytest.raises(LookupError, match="come back later"):
        await throttle.hit(toy.Request())


async def test_a_websocket_gets_the_rejection_and_continues(store):
    throttle = WebSocketThrottle("throttles", "1/min", strategy=FixedWindow(), backend=store)
    messages = []
    socket = toy.Socket(messages)
    for _ in range(2):
        assert await throttle.hit(socket) is socket
    assert messages == [{"type": "rate_limit", "error": "Too many requests. Retry in 60 seconds.", "retry_after": 60}]


def test_a_rejection_that_must_be_awaited_is_an_error_in_sync_code(store):
    throttle = WebSocketThrottle("throttles", "1/min", strategy=FixedWindow(), backend=store)
    throttle.sync.hit(toy.Socket([]))
    with pytest.raises(TypeError, match="the rejection of a Socket is async"):
        throttle.sync.hit(toy.Socket([]))


async def test_a_cost_above_the_capacity_is_rejected_without_a_wait(throttle):
    connection = toy.Request()
    error = await refused(throttle, connection, 2)
    assert error.rejection.retry_after is None
    assert is_throttled(connection)


async def test_a_refusal_can_be_sent_later(throttle):
    connection = toy.Request()
    await throttle.hit(connection)
    decision = await throttle.decide(connection)
    assert is_throttled(connection, throttle)
    with pytest.raises(Throttled) as caught:
        await throttle.refuse(connection, decision)
    assert caught.value.decision == decision


async def test_a_disabled_throttle_admits_and_remembers_the_decision(throttle):
    connection = toy.Request()
    await throttle.hit(connection)
    await refused(throttle, connection)
    throttle.disable()
    await throttle.hit(connection)
    assert not is_throttled(connection)
    throttle.enable()
    await refused(throttle, connection)


async def test_the_store_of_its_application_is_used(store):
    app = toy.App()
    throttle = HTTPThrottle("throttles", "1/min")
    async with store.lifespan(app):
        await throttle.hit(toy.Request(app=app))
    assert store.keys == 0


def test_the_signature_for_dependency_injection_has_only_the_connection(throttle):
    parameters = inspect.signature(throttle).parameters
    assert list(parameters) == ["connection"]
    assert isinstance(parameters["connection"].annotation, type)


def test_the_signature_of_a_class_is_that_of_its_arguments():
    assert list(inspect.signature(HTTPThrottle).parameters)[:3] == ["uid", "rate", "identifier"]
    assert list(inspect.signature(AllOf).parameters) == ["limits"]


def test_an_option_that_is_no_function_is_an_error(store):
    for option in ("identifier", "handle_throttled"):
        with pytest.raises(TypeError):
            HTTPThrottle("throttles", "1/min", **{option: 5}, backend=store)


async def test_sync_code_can_send_refusals_later_too(throttle):
    connection = toy.Request()
    assert throttle.sync.decide(connection).allowed
    decision = throttle.sync.decide(connection, 1, {"caller": "middleware"})
    assert (decision.allowed, is_throttled(connection)) == (False, True)
    with pytest.raises(Throttled):
        throttle.sync.refuse(connection, decision)


async def test_only_refuse_returns_the_result_of_the_handler(store):
    throttle = HTTPThrottle("throttles", "0/min", handle_throttled=lambda: "an answer", backend=store)
    connection = toy.Request()
    decision = await throttle.decide(connection)
    assert await throttle.refuse(connection, decision) == "an answer"
    assert throttle.sync.refuse(connection, decision) == "an answer"
    assert await throttle.hit(connection) is connection


def test_what_is_amended_was_admitted(store):
    throttle, request = HTTPThrottle("amended", "1/min", backend=store), toy.Request()
    throttle.amend(request, throttle.sync.decide(request))
    assert not throttle.sync.decide(request)
    throttle.amend(request, Decision(True, 1, 1))
    assert is_throttled(request)


def test_several_limits_without_a_throttle_are_no_all_of(store):
    with pytest.raises(TypeError, match="at least one throttle"):
        AllOf(Limiter("alone", "1/min", backend=store))
