"""The first hits of a throttle check whether its identifier distinguishes clients."""

from __future__ import annotations

import gc
import weakref

import pytest

from tests import toy
from traffik import EXEMPTED, HTTPThrottle, identities, notices

pytestmark = pytest.mark.anyio


@pytest.fixture
def throttled(store):
    return lambda identifier: HTTPThrottle("watching", "1000/min", identifier=identifier, backend=store)


def said():
    return [(notice.id, notice.about) for notice in notices.said()]


def hit(throttle, count, peer="203.0.113.{}"):
    for number in range(count):
        throttle.sync.hit(toy.Request(peer.format(number)))


def test_the_same_identity_for_many_clients_is_reported(throttled):
    throttle = throttled(lambda _: "a")
    hit(throttle, 19)
    assert said() == []
    hit(throttle, 20)
    assert said() == [("one-identity", "watching")]


async def test_an_async_identifier_is_checked_too(throttled):
    async def identify(_):
        return "a"

    throttle = throttled(identify)
    for number in range(20):
        await throttle.hit(toy.Request(f"203.0.113.{number}"))
    assert said() == [("one-identity", "watching")]


def test_an_async_identifier_in_sync_code_is_the_usual_error(throttled):
    async def identify(_):
        return "a"

    with pytest.raises(TypeError, match=r"the identifier .*identify is async"):
        hit(throttled(identify), 1)
    gc.collect()  # a coroutine that is not closed would warn


@pytest.mark.parametrize(
    "identifier",
    [
        identities.shared,
        identities.exempt("10.0.0.0/8", identities.shared),
        lambda request: request.scope["peer"],
        lambda _: EXEMPTED,
    ],
    ids=["shared", "shared except for some", "one each", "exempted"],
)
def test_an_identifier_that_is_shared_on_purpose_is_not_reported(throttled, identifier):
    hit(throttled(identifier), 150)
    assert said() == []


def test_few_clients_may_have_one_identity(throttled):
    throttle = throttled(lambda _: "a")
    for _ in range(10):
        hit(throttle, 15)
    hit(throttle, 100, "198.51.100.{}")
    assert said() == []


def test_clients_without_addresses_are_not_reported(throttled):
    throttle = throttled(lambda _: "a")
    for _ in range(150):
        throttle.sync.hit(toy.Request(None))
    assert said() == []


@pytest.mark.parametrize("identifier", [lambda _: "a", lambda request: request.scope["peer"]], ids=["one", "many"])
def test_the_check_is_removed_in_the_end(throttled, identifier):
    throttle = throttled(identifier)
    hit(throttle, 100)
    assert throttle.identifier.call is not None
    assert type(throttle.identifier.call) is type(test_the_check_is_removed_in_the_end)


def test_the_check_does_not_keep_a_throttle_alive(throttled):
    gc.disable()
    try:
        throttle = throttled(lambda _: "a")
        gone = weakref.ref(throttle)
        del throttle
        assert gone() is None
    finally:
        gc.enable()


async def test_a_check_that_ends_after_its_throttle_does_nothing(throttled):
    throttle = throttled(lambda request: request.scope["peer"])
    check = throttle.identifier.call
    throttle.itself = throttle  # deleted with a cycle, so not at once
    del throttle
    gc.collect()
    assert [check(toy.Request(peer), {}) for peer in "ab"] == ["a", "b"]
    assert said() == []
