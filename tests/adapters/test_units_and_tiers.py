"""Rates in another unit than requests, and rates by tier, in every framework."""

from tests.adapters.services import Call
from traffik import HTTPThrottle, Tiers, TokenBucket


def test_the_unit_is_in_the_fields_and_in_the_refusal(framework, served, uid):
    throttle = HTTPThrottle(uid, "2k tokens/min burst 6k", strategy=TokenBucket())
    client = served(Call("hit", throttle, 4_000))
    answers = [client.get("/") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {f'"{uid}";q=2000;w=60;qu="tokens"'}
    assert answers[1].content == framework.body("Too many tokens. Retry in 60 seconds.", uid)


def test_usage_follows_a_client_to_another_tier(served, uid):
    tiers = Tiers({"free": "5/hour", "pro": "50/hour"}, lambda _, context: context.get("plan"), default="free")
    throttle = HTTPThrottle(uid, tiers)
    paid = {"plan": "pro"}
    client = served(
        Call("hit", throttle, 4),
        Call("stat", throttle, context=paid),
        Call("hit", throttle, 6, paid),
        Call("stat", throttle, context=paid),
        Call("check", throttle),
    )
    answer = client.get("/")
    _, before, _, after, free = answer.json()
    assert (before["hits_remaining"], after["hits_remaining"], free) == (46, 40, False)
    assert answer.headers["RateLimit-Policy"] == f'"{uid}";q=50;w=3600'
