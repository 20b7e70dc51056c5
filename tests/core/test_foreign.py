"""Options that other rate limiters have are an error that names ours."""

from __future__ import annotations

import inspect

import pytest

from traffik import HTTPThrottle, Limiter, WebSocketThrottle
from traffik.foreign import refuse_foreign_options
from traffik_aiohttp import throttled as aiohttp_throttled
from traffik_django import throttled as django_throttled
from traffik_starlette import HTTPThrottle as StarletteThrottle
from traffik_starlette import throttled as starlette_throttled

OPTIONS = {
    "burst": (3, r"burst belongs to the strategy: strategy=TokenBucket\(burst=3\)"),
    "key_func": (print, "is the identifier: identifier="),
    "key": ("ip", "is the identifier: identifier="),
    "limit": ("5/min", 'are one rate: rate="100/min"'),
    "times": (5, 'are one rate: rate="100/min"'),
    "seconds": (60, 'are one rate: rate="100/min"'),
    "storage_uri": ("redis://localhost", "the store is the backend: backend="),
    "scope": ("a", r"""context=\{"scope": 'a'\}"""),
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("make", [HTTPThrottle, WebSocketThrottle, Limiter, StarletteThrottle])
def test_a_constructor_names_our_word(make, option):
    value, words = OPTIONS[option]
    with pytest.raises(TypeError, match=f"there is no option '{option}': .*{words}"):
        make("foreign", "5/min", **{option: value})


@pytest.mark.parametrize("rates", [(), ("5/min",)])
@pytest.mark.parametrize("throttled", [starlette_throttled, django_throttled, aiohttp_throttled])
def test_a_decorator_names_our_word(throttled, rates):
    with pytest.raises(TypeError, match=r"there is no option 'key_func': .*identifier="):
        throttled(*rates, key_func=print)


def test_other_words_are_the_error_that_python_has_for_them():
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        Limiter("foreign", "5/min", colour="red")


def test_a_subclass_may_have_such_an_option_of_its_own():
    class Timed(Limiter):
        def __init__(self, uid, *, times, seconds):
            super().__init__(uid, f"{times}/{seconds}s")

    assert str(Timed("foreign", times=5, seconds=2).plan.rates[0]) == "5/2s"


def test_what_a_call_hands_on_is_left_to_where_it_ends():
    refuse_foreign_options({"burst": 3}, lambda **options: options)


@pytest.mark.parametrize("make", [HTTPThrottle, Limiter])
def test_the_signature_of_a_class_is_that_of_its_constructor(make):
    assert list(inspect.signature(make).parameters)[:2] == ["uid", "rate"]
    assert "strategy" in inspect.signature(make).parameters
