"""Each error policy while the server does not answer: the decisions and the counts.

An unreachable server stands for all faults. The other modules test that each fault leads to the error policy.
"""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.backends.redis.servers import resolve
from tests.backends.redis.ways import LIMIT, Shop
from tests.callers import get
from traffik import Decision, HTTPThrottle, Limiter, SlidingWindow
from traffik.backends.redis import Breaker, DenyCache, RedisBackend
from traffik.model.errors import BackendError


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


@pytest.fixture
def away(proxy, shop):
    """Makes a `Shop` whose store has answered once and is unreachable since."""

    def away(on_error, **options) -> Shop:
        one = shop(on_error=on_error, **options)
        one.hit()
        proxy.refuse()
        one.way.breathe()
        return one

    return away


def test_fallback_counts_in_this_process_with_the_same_limit(away):
    one = away("fallback")
    assert [one.hit(cost=600).allowed for _ in range(2)] == [True, False]
    assert one.hit().remaining == LIMIT - 601
    assert one.store.degraded == {"fallback": 3}


def test_fallback_keeps_its_usage_when_the_store_fails_again(away, proxy):
    one = away("fallback")
    one.hit(cost=600)
    proxy.heal()
    one.recovered()
    proxy.refuse()
    assert [one.hit(cost=cost).allowed for cost in (600, 400)] == [False, True]


def test_a_refusal_of_the_fallback_is_not_taken_for_one_of_the_store(away, proxy):
    one = away("fallback", deny_cache=DenyCache(staleness=60))
    assert [one.hit(cost=600).allowed for _ in range(2)] == [True, False]
    proxy.heal()
    one.recovered()
    assert one.hit(cost=600).allowed


def test_allow_admits_everything_and_counts_nothing(away):
    one = away("allow")
    decisions = [one.hit(cost=LIMIT) for _ in range(3)]
    assert {(each.allowed, each.degraded, each.rate) for each in decisions} == {(True, "allow", None)}
    assert one.store.degraded == {"allow": 3}


def test_throttle_refuses_with_the_wait_until_the_store_is_asked_again(away):
    one = away("throttle", breaker=Breaker(failures=1, recovery=30))
    decisions = [one.hit(), one.hit(), one.way.call(one.limiter, "check", "ada")]
    assert {(each.allowed, each.degraded, each.never) for each in decisions} == {(False, "unavailable", False)}
    assert {each.wait_seconds for each in decisions} <= {29, 30}
    assert one.store.degraded == {"unavailable": 3}


def test_raise_raises_the_error(away):
    one = away("raise", breaker=Breaker(failures=2, recovery=30))
    for what in ("cannot connect", "cannot connect", "its breaker is open"):
        with pytest.raises(BackendError, match=what):
            one.hit()
    assert one.store.degraded == {}


def test_raise_raises_at_the_start_too(proxy, way):
    proxy.refuse()
    with pytest.raises(BackendError, match="cannot connect"):
        way.open(RedisBackend(proxy.url, on_error="raise"))


@pytest.mark.parametrize("policy", ["allow", "throttle", "fallback"])
def test_a_function_may_return_a_policy(away, policy):
    seen = []
    one = away(lambda error, charge: seen.append((type(error), charge.uid, charge.key, charge.cost)) or policy)
    reason = {"throttle": "unavailable"}.get(policy, policy)
    assert one.hit(cost=3).degraded == reason
    assert (one.store.degraded, seen) == ({reason: 1}, [(BackendError, "shop", "ada", 3)])


def test_a_function_may_return_a_decision(away):
    one = away(lambda: Decision(allowed=True, limit=7, remaining=6))
    assert one.hit() == Decision(allowed=True, limit=7, remaining=6, degraded="on_error")
    assert one.store.degraded == {"on_error": 1}


def test_a_function_may_choose_to_raise(away):
    with pytest.raises(BackendError, match="cannot connect"):
        away(lambda error: "raise").hit()


def test_a_function_that_returns_anything_else_is_an_error_that_lists_the_policies(away):
    with pytest.raises(ValueError, match=r"on_error is one of fallback, allow, throttle, raise, or .* not 'pass'"):
        away(lambda error: "pass").hit()


async def _allow(error):
    return "allow"


@pytest.mark.parametrize("way", ["loop"], indirect=True)
def test_a_function_may_be_async(away):
    one = away(_allow)
    assert [(each.allowed, each.degraded) for each in one.hits("ada", "eve")] == [(True, "allow")] * 2
    assert one.store.degraded == {"allow": 2}


@pytest.mark.parametrize("way", ["threads"], indirect=True)
def test_an_async_function_is_an_error_in_sync_code(away, proxy):
    one = away(_allow)
    with pytest.raises(TypeError, match=r"_allow is async, so sync code cannot use it: .*make it sync"):
        one.hit()
    proxy.heal()
    assert one.hit().degraded is None


@pytest.mark.parametrize("policy", ["fallback", "allow", "throttle"])
def test_check_stat_and_a_users_strategy_follow_the_policy(away, policy):
    one = away(policy)

    class Mine:
        def decide(self, state, rate, cost, now):
            return SlidingWindow().decide(state, rate, cost, now)

    mine = Limiter("mine", "5/min", strategy=Mine(), backend=one.store)
    reason = {"throttle": "unavailable"}.get(policy, policy)
    assert one.way.call(one.limiter, "check", "ada").degraded == one.way.call(mine, "hit", "ada").degraded == reason
    assert one.way.call(one.limiter, "stat", "ada").hits_remaining >= 0


@pytest.mark.anyio
@pytest.mark.parametrize(("policy", "status"), [("fallback", 200), ("allow", 200), ("throttle", 503), ("raise", 500)])
async def test_a_request_gets_a_response_under_each_policy(proxy, policy, status):
    proxy.refuse()
    throttle = HTTPThrottle(f"web-{policy}", "5/min", backend=RedisBackend(proxy.url, on_error=policy))

    async def endpoint(request):
        await throttle.hit(request)
        return PlainTextResponse("admitted")

    app = Starlette(routes=[Route("/", endpoint)], exception_handlers={BackendError: _sorry})
    answer = await get(app)
    assert answer.status_code == status
    if status == 503:
        assert (answer.headers["Retry-After"], answer.text) == (
            "1",
            "The rate limiter is unavailable. Retry in 1 second.",
        )


async def _sorry(request, error):
    return PlainTextResponse("sorry", 500)


@pytest.mark.anyio
async def test_the_headers_of_a_fallback_name_the_policies_of_the_limit(proxy):
    proxy.refuse()
    store = RedisBackend(proxy.url, fallback_share=0.25)
    throttle = HTTPThrottle("api", "4/s; 40/min", backend=store)

    async def endpoint(request):
        await throttle.hit(request)
        return PlainTextResponse("admitted")

    app = Starlette(routes=[Route("/", endpoint)])
    answers = [await get(app) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["RateLimit-Policy"] == '"api.1";q=4;w=1, "api.2";q=40;w=60'
    assert answers[1].headers["RateLimit"].startswith('"api.1";r=0;t=')
