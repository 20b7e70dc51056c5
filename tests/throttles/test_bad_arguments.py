"""An invalid argument is an error where it is given, which shows the argument and how to fix it."""

from __future__ import annotations

import pytest

from traffik import (
    AllOf,
    ConfigurationError,
    HTTPThrottle,
    Limiter,
    Rule,
    TokenBucket,
    identities,
    subscribe,
    trust_proxies,
)
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend
from traffik.backends.redis import RedisBackend
from traffik.throttles.decorators import check_call
from traffik.throttles.guards import each_of
from traffik_starlette import throttled

MISTAKES = {
    "backend text": (
        lambda: HTTPThrottle("bad", "1/s", backend="redis://localhost"),
        r"a store, such as RedisBackend\('redis://localhost'\)",
    ),
    "strategy class": (lambda: Limiter("bad", "1/s", strategy=TokenBucket), r"such as TokenBucket\(\), not"),
    "identifier text": (lambda: HTTPThrottle("bad", "1/s", identifier="user"), "traffik.identities has some"),
    "identifier maker": (lambda: HTTPThrottle("bad", "1/s", identifier=identities.user), r"identifier=user\(\.\.\.\)"),
    "a maker inside": (lambda: identities.exempt("10.0.0.0/8", identities.address), r"identifier=address\(\.\.\.\)"),
    "a list": (lambda: AllOf([HTTPThrottle("bad", "1/s")]), "throttles and limiters, one by one, not"),
    "no parentheses": (lambda: throttled(len), r'write @throttled\("10/min"\)'),
    "a limiter": (lambda: throttled(Limiter("bad", "1/s")), "make an HTTPThrottle"),
    "backend class": (lambda: Limiter("bad", "1/s", backend=InMemoryBackend), "a store, such as InMemoryBackend"),
    "breaker": (lambda: RedisBackend(breaker=5), r"a breaker is a Breaker\(.*, not 5"),
    "deny cache": (lambda: RedisBackend(deny_cache=True), r"a deny cache is a DenyCache\(\), not True"),
    "outcomes": (lambda: subscribe(print, outcomes="refused"), r"such as \['refused'\]"),
    "context": (lambda: HTTPThrottle("bad", "1/s", context=5), "a context is a mapping, .* not 5"),
    "context text": (lambda: HTTPThrottle("bad", "1/s", context="abc"), "a context is a mapping, .* not 'abc'"),
    "scope": (lambda: HTTPThrottle("bad", "1/s", context={"scope": 1.5}), "the scope is text, .* not 1.5"),
    "rules": (lambda: HTTPThrottle("bad", "1/s", rules="/api"), "not '/api'"),
    "bypass": (lambda: Rule("/", bypass="no"), "bypass is True or False, not 'no'"),
    "clock": (lambda: InMemoryBackend(clock=5), "a clock is a function .* not 5"),
    "bearer": (lambda: identities.bearer(5), "the subject of a bearer token 5 cannot be called"),
    "user": (lambda: identities.user(None), "the user None cannot be called"),
    "cookie": (lambda: identities.cookie(5, {"a"}), "a cookie has a name, .* not 5"),
    "header": (lambda: identities.header(""), "a header has a name, .* not ''"),
    "api key": (lambda: identities.api_key("X API", {"a"}), "a header has a name, .* not 'X API'"),
    "cost": (lambda: check_call(True, None), "a cost is an integer, not True"),
    "no throttle": (lambda: each_of(None), "takes throttles, .* not None"),
    "a class": (lambda: each_of(HTTPThrottle), "takes throttles, .* not <class"),
    "a rate": (lambda: each_of("5/s"), "takes throttles, .* not '5/s'"),
    "call": (lambda: check_call(None, 5), "a context is a mapping, .* not 5"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_is_a_type_error_that_shows_the_argument(mistake):
    make, words = MISTAKES[mistake]
    with pytest.raises(TypeError, match=words):
        make()


def test_the_url_of_a_store_is_no_path():
    with pytest.raises(ConfigurationError, match="is a directory, such as '/dev/shm/shop', not the URL"):
        LMDBBackend("lmdb:///dev/shm/shop")


@pytest.mark.parametrize("store", [LMDBBackend, RedisBackend])
def test_a_deadline_is_in_seconds(store):
    with pytest.raises(ValueError, match=r"number of seconds above 0, such as 0\.25 for 250 ms, not -250"):
        store(deadline=-250)


THING = object()
ADDRESSES = {
    "a store": lambda: HTTPThrottle("bad", "1/s", backend=THING),
    "a strategy": lambda: Limiter("bad", "1/s", strategy=THING),
    "a rule": lambda: HTTPThrottle("bad", "1/s", rules=[THING]),
    "a rate": lambda: Limiter("bad", THING),
    "a cost": lambda: check_call(lambda request: 1, None),
    "an identifier": lambda: HTTPThrottle("bad", "1/s", identifier=lambda one, two, three: 0),
    "a throttle": lambda: each_of(THING),
    "floods": lambda: HTTPThrottle("bad", "1/s", floods=THING),
    "responses": lambda: HTTPThrottle("bad", "1/s", responses=THING),
    "an unknown option": lambda: Limiter("bad", "1/s", colour=THING),
    "a foreign option": lambda: Limiter("bad", "1/s", key_func=lambda: 1, burst=THING),
    "a connection": lambda: HTTPThrottle("bad", "1/s").sync.hit(THING),
    "an identity": lambda: Limiter("bad", "1/s").sync.hit(THING),
    "networks": lambda: trust_proxies(THING),
}


@pytest.mark.parametrize("mistake", ADDRESSES)
def test_no_message_shows_an_address_in_memory(mistake):
    with pytest.raises((TypeError, ConfigurationError)) as caught:
        ADDRESSES[mistake]()
    assert " at 0x" not in str(caught.value)


def test_the_repr_of_a_store_has_the_line_that_made_it():
    one, two = InMemoryBackend(), InMemoryBackend()
    assert repr(one).endswith(f"test_bad_arguments.py:{one.place.rpartition(':')[2]}>")
    assert " at 0x" not in repr(one) + repr(two)


@pytest.mark.parametrize("given", [None, 1.5])
@pytest.mark.parametrize("make", [trust_proxies, identities.exempt, identities.deny])
def test_networks_are_text(make, given):
    with pytest.raises(ConfigurationError, match=f"networks are text .* not {given!r}"):
        make(given)


def test_a_function_as_the_cost_of_a_decorator_is_an_error_that_names_its_place():
    def price(request): ...

    with pytest.raises(TypeError, match=r"give a function to the throttle, as in throttled\(.*cost=price\)\)"):
        check_call(price, None)
