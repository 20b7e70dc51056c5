"""Options of other rate limiters: the error names the option to use instead."""

from __future__ import annotations

import pytest

from traffik import HTTPThrottle, Limiter, WebSocketThrottle

FOREIGN = [
    ("burst", 3, "strategy=TokenBucket(burst=3)"),
    ("limit", 5, 'rate="5/min"'),
    ("times", 5, 'rate="5/min"'),
    ("seconds", 60, 'rate="5/min"'),
    ("scope", "login", "context={\"scope\": 'login'}"),
    ("storage_uri", "redis://x", "backend=RedisBackend('redis://x')"),
]


@pytest.mark.parametrize(
    ("kind", "name", "value", "hint"),
    [
        *((kind, *each) for kind in (Limiter, HTTPThrottle, WebSocketThrottle) for each in FOREIGN),
        (HTTPThrottle, "key_func", len, "identifier="),
        (WebSocketThrottle, "key", "a", "identifier="),
    ],
)
def test_an_option_of_another_limiter_is_an_error_that_names_ours(kind, name, value, hint):
    with pytest.raises(TypeError) as caught:
        kind("a", "5/min", **{name: value})
    assert f"{kind.__name__} takes no option {name}=" in str(caught.value)
    assert hint in str(caught.value)


def test_a_rate_in_other_options_is_an_error_that_shows_ours():
    with pytest.raises(TypeError, match=r'rate="5/min"'):
        HTTPThrottle("a", times=5, seconds=60)


@pytest.mark.parametrize("make", [lambda: HTTPThrottle("5/min"), lambda: Limiter(rate="5/min"), HTTPThrottle])
def test_a_missing_uid_or_rate_is_an_error_that_shows_both(make):
    with pytest.raises(TypeError, match=r'takes a uid and a rate, as in \w+\("api", "100/min"\), not'):
        make()


def test_any_other_option_is_an_error_that_lists_the_options():
    with pytest.raises(TypeError, match="takes no option colour='red': it takes uid, rate, strategy"):
        Limiter("a", "5/min", colour="red")


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: Limiter("a", "5/min", key=len), 'limiter.hit("user:42")'),
        (lambda: Limiter("a", "5/min", handler=len), "a refusal is a value"),
        (lambda: Limiter("a", "5/min", rules=()), "belong to an HTTPThrottle"),
        (lambda: HTTPThrottle("a", "5/min", on_error="allow"), "backend=RedisBackend(url, on_error='allow')"),
        (lambda: HTTPThrottle("a", "5/min", idenfier=len), "did you mean identifier=?"),
    ],
)
def test_an_option_in_the_wrong_place_is_an_error_that_names_the_right_one(make, hint):
    with pytest.raises(TypeError) as caught:
        make()
    assert hint in str(caught.value)


def test_a_subclass_may_have_its_own_options(store):
    class Own(Limiter):
        def __init__(self, uid, **options):
            super().__init__(uid, options["rate"], backend=store)

    assert Own("a", rate="5/min", burst=1).sync.hit("ada")
