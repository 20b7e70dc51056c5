"""Hits with sync and async functions as options, in async and sync code."""

from __future__ import annotations

import asyncio
import functools

import pytest

from traffik import EXEMPTED, Limiter, Rate, RateError
from traffik.backends.base import Backend
from traffik.backends.inmemory import InMemoryBackend

pytestmark = pytest.mark.anyio


async def three(identity):
    return 3


async def five_a_day(identity):
    return "5/day"


class Distant(InMemoryBackend):
    """A store that works asynchronously, as one on a network does, and counts its calls."""

    in_process = False
    asked = 0

    def apply_sync(self, charges):
        self.asked += 1
        return super().apply_sync(charges)


@pytest.fixture(params=[InMemoryBackend, Distant])
def store(request, clock):
    return request.param(clock=clock)


@pytest.mark.parametrize("cost", [3, lambda: 3, lambda identity: 3, lambda identity, context: 3, three])
async def test_a_cost_may_be_a_value_or_a_function(cost, store):
    assert (await Limiter("recipes", "5/day", cost=cost, backend=store).hit("a")).remaining == 2


@pytest.mark.parametrize(
    "rate", ["5/day", Rate.parse("5/day"), lambda: "5/day", lambda _: Rate.parse("5/day"), five_a_day]
)
async def test_a_rate_may_be_a_value_or_a_function(rate, store):
    limiter = Limiter("recipes", rate, backend=store)
    assert (await limiter.hit("a", 2)).remaining == 3
    assert (await limiter.check("a")).remaining == 2
    assert (await limiter.stat("a")).rate == Rate.parse("5/day")


async def test_a_rate_may_differ_between_identities(store):
    limiter = Limiter("recipes", {"free": "1/day", "paid": ["3/day", "2/hour"]}.get, backend=store)
    for identity, admitted in (("free", 1), ("paid", 2)):
        assert sum([(await limiter.hit(identity)).allowed for _ in range(5)]) == admitted


@pytest.mark.parametrize("unlimited", ["unlimited", lambda _: "unlimited"])
async def test_without_a_limit_everything_is_admitted_and_nothing_counted(unlimited, store):
    limiter = Limiter("recipes", unlimited, backend=store)
    assert all([(await limiter.hit("a", 2**31 - 1)).allowed for _ in range(3)])
    assert store.keys == 0
    assert (await limiter.stat("a")).rate.unlimited


async def test_the_context_of_the_call_takes_precedence_over_that_of_the_limiter(store):
    seen = []
    limiter = Limiter(
        "recipes", "5/day", cost=lambda _, context: seen.append(context) or 1, context={"a": 1, "b": 1}, backend=store
    )
    await limiter.hit("x", context={"b": 2})
    await limiter.hit("x")
    assert seen == [{"a": 1, "b": 2}, {"a": 1, "b": 1}]


async def test_the_scope_divides_the_quota(store):
    limiter = Limiter("recipes", "1/day", context={"scope": "own"}, backend=store)
    hits = [limiter.hit("x"), limiter.hit("x", context={"scope": "own"}), limiter.hit("x", context={"scope": 7})]
    assert [(await hit).allowed for hit in hits] == [True, False, True]


@pytest.mark.parametrize("wrong", [True, 1.0, "1", None, float("nan")])
async def test_a_cost_of_another_type_is_refused_before_any_effect(wrong, store):
    limiter = Limiter("recipes", "5/day", cost=lambda _: wrong, backend=store)
    with pytest.raises(TypeError, match="a cost is an integer, not"):
        await limiter.hit("a")
    assert store.keys == 0


@pytest.mark.parametrize("wrong", [-1, 2**31])
async def test_a_cost_out_of_range_is_refused_before_any_effect(wrong, store):
    limiter = Limiter("recipes", "5/day", backend=store)
    with pytest.raises(ValueError, match="a cost is from 0 to 2147483647, not"):
        await limiter.hit("a", wrong)
    assert store.keys == 0


async def test_a_cost_of_zero_touches_nothing(store):
    limiter = Limiter("recipes", "1/day", backend=store)
    await limiter.hit("a")
    assert await limiter.hit("a", 0)
    assert store.keys == 1


async def test_a_cost_above_the_capacity_does_not_ask_the_store():
    store = Distant()
    assert (await Limiter("recipes", "5/day", backend=store).hit("a", 6)).never
    assert store.asked == 0


async def test_a_wrong_result_of_a_rate_function_is_an_error_that_names_it(store):
    def plan_of(user):
        return None

    with pytest.raises(RateError, match=r'^the rate .*plan_of has returned no rate: .*for no limit write "unlimited"'):
        await Limiter("recipes", plan_of, backend=store).hit("ada")


@pytest.mark.parametrize("identity", [5.0, None, b"a", True, ["a"]])
async def test_an_identity_of_another_type_is_refused(identity, store):
    with pytest.raises(TypeError, match="the identity is text, an integer or a UUID"):
        await Limiter("recipes", "5/day", backend=store).hit(identity)


async def test_integers_and_their_text_are_the_same_identity(store):
    limiter = Limiter("recipes", "1/day", backend=store)
    assert [(await limiter.hit(identity)).allowed for identity in (42, "42")] == [True, False]


@pytest.mark.parametrize(("option", "name"), [("cost", "the cost three"), ("rate", "the rate three")])
def test_an_async_function_in_sync_code_is_an_error_that_names_it(option, name, store):
    limiter = Limiter("recipes", **{"rate": "5/day", option: three}, backend=store)
    with pytest.raises(TypeError, match=f"{name} is async, so sync code cannot use it"):
        limiter.sync.hit("a")


def test_an_unexpected_coroutine_in_sync_code_is_closed_and_named(store):
    limiter = Limiter("recipes", "5/day", cost=lambda identity: three(str(identity)), backend=store)
    with pytest.raises(TypeError, match=r"the cost .*lambda.* is async"):
        limiter.sync.hit("a")


async def test_a_coroutine_from_a_sync_function_is_awaited(store):
    limiter = Limiter("recipes", "5/day", cost=lambda identity: three(str(identity)), backend=store)
    assert (await limiter.hit("a")).remaining == 2


async def test_a_partial_of_an_async_function_is_awaited(store):
    limiter = Limiter("recipes", "5/day", cost=functools.partial(three), backend=store)
    assert (await limiter.hit("a")).remaining == 2


def test_a_future_of_another_loop_is_not_swallowed(store):
    loop = asyncio.new_event_loop()
    limiter = Limiter("recipes", "5/day", cost=lambda _: loop.create_future(), backend=store)
    with pytest.raises(TypeError, match=r"the cost .* is async"):
        limiter.sync.hit("a")
    loop.close()


async def test_an_error_in_a_function_is_raised_to_the_caller(store):
    limiter = Limiter("recipes", "5/day", cost=lambda _: 1 / 0, backend=store)
    with pytest.raises(ZeroDivisionError):
        await limiter.hit("a")
    with pytest.raises(ZeroDivisionError):
        limiter.sync.hit("a")


async def test_a_disabled_limiter_admits_everything_until_it_is_enabled(store):
    limiter = Limiter("recipes", "1/day", backend=store)
    limiter.disable()
    assert all([(await limiter.hit("a")).allowed for _ in range(3)])
    limiter.enable()
    assert [(await limiter.hit("a")).allowed for _ in range(2)] == [True, False]


async def test_a_strategy_without_stats_is_not_called_by_check_and_stat(store):
    class Coin:
        stats = False

        def decide(self, state, rate, cost, now):
            raise AssertionError("not to be asked")

    limiter = Limiter("recipes", "1/day", strategy=Coin(), backend=store)
    assert await limiter.check("a") is not None
    assert await limiter.stat("a") is None


def test_a_limiter_does_not_accept_an_exempted_identity(store):
    assert Limiter("recipes", "1/day", backend=store).sync.hit(EXEMPTED)
    assert store.keys == 0


def test_a_store_needs_all_abstract_methods():
    with pytest.raises(TypeError, match="abstract"):
        Backend()
