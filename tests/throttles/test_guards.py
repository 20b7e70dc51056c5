"""The common parts of decorators and middlewares."""

from __future__ import annotations

import functools

import pytest

from tests import toy
from traffik import Decision, HTTPThrottle, Rate, Throttled, WebSocketThrottle, is_throttled
from traffik.model.coroutines import run_sync
from traffik.throttles import guards
from traffik.throttles.decorators import guards_for, is_async_callable, rates_among
from traffik.throttles.guards import each_of, hit_each
from traffik.throttles.naming import uid_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def pair(store):
    return [HTTPThrottle(f"guards:{name}", "9/min", backend=store) for name in "ab"]


def hit_each_sync(*args, **options):
    return run_sync(hit_each(*args, **options, sync=True))


def used(*throttles):
    return [9 - throttle.sync.stat(toy.Request()).hits_remaining for throttle in throttles]


async def test_each_throttle_is_hit_once_for_a_connection(pair):
    connection = toy.Request()
    await hit_each([pair[0], pair[0]], connection)
    await hit_each(pair, toy.Request(scope=connection.scope), 3)
    hit_each_sync(pair, connection)
    assert used(*pair) == [1, 3]
    hit_each_sync(pair, toy.Request(), 2, {"scope": "another"})
    assert used(*pair) == [1, 3]


async def test_an_explicit_hit_is_not_repeated_and_counts_after_them(pair):
    connection = toy.Request()
    await pair[0].hit(connection)
    await hit_each(pair, connection)
    assert used(*pair) == [1, 1]
    await pair[0].hit(connection)
    assert used(*pair) == [2, 1]


async def test_throttles_can_be_hit_again(pair):
    connection = toy.Request()
    for _ in range(3):
        await hit_each(pair, connection, again=True)
    assert used(*pair) == [3, 3]


async def test_if_one_refuses_none_is_charged(store, pair):
    shut = HTTPThrottle("guards:shut", "0/min", backend=store)
    for hit in (hit_each_sync, hit_each):
        with pytest.raises(Throttled):
            await hit([pair[0], shut, pair[1]], toy.Request())
    assert used(*pair) == [0, 0]


async def test_a_refusal_that_a_handler_let_pass_counts(store):
    seen = []
    throttle = HTTPThrottle("guards:lenient", "0/min", handle_throttled=seen.append, backend=store)
    connection = toy.Request()
    for _ in range(2):
        await hit_each([throttle], connection)
    assert (seen, is_throttled(connection)) == ([connection], True)


async def test_a_response_of_a_handler_is_returned_and_ends_the_hits(store, pair):
    throttle = HTTPThrottle("guards:own", "0/min", handle_throttled=lambda: "busy", backend=store)
    each = [throttle, pair[0]]
    answers = [
        await hit_each(each, toy.Request(), response=str),
        hit_each_sync(each, toy.Request(), response=str),
        await hit_each([throttle], toy.Request(), response=bytes),
        await hit_each([throttle], toy.Request()),
    ]
    assert (answers, used(pair[0])) == (["busy", "busy", None, None], [0])


def test_one_or_several_throttles_are_accepted():
    one, two = HTTPThrottle("guards:1", "1/s"), WebSocketThrottle("guards:2", "1/s")
    assert [each_of(one), each_of([one, two]), each_of(iter([two])), each_of(())] == [(one,), (one, two), (two,), ()]
    assert each_of({"one": one, "two": two}) == (one, two)
    with pytest.raises(TypeError, match=r"takes throttles, such as HTTPThrottle\(uid, rate\), not '5'"):
        each_of("5")


def endpoint():
    pass


def test_rates_make_a_throttle_that_is_named_after_the_endpoint(pair):
    guards = guards_for(endpoint, ["5/s", pair[0], Rate.parse("9/min")], {"cost": 2})
    assert (guards[0], guards[1].uid, guards[1].cost) == (pair[0], f"{__name__}.endpoint", 2)
    assert [str(rate) for rate in guards[1].own_plan.rates] == ["5/s", "9/min"]
    assert guards_for(endpoint, ["5/s"], {"uid": "guards:given"})[0].uid == "guards:given"
    assert guards_for(endpoint, pair, {}) == pair


def test_names_of_throttles_are_not_rates(pair):
    assert rates_among(["login", "5/s", pair[0]], {}, str.isalpha) == ["5/s"]
    assert rates_among(["login"], {}) == ["login"]


@pytest.mark.parametrize(
    ("given", "options", "is_name", "words"),
    [
        ((), {}, None, r"throttled takes throttles or rates, at least one: \(\)"),
        ((5,), {}, None, r"takes throttles or rates, at least one: \(5,\)"),
        (("5/s", None), {}, str.isalpha, "takes throttles, names of throttles or rates"),
        (("login",), {"cost": 2}, str.isalpha, "cost: options are for rates"),
    ],
)
def test_other_arguments_are_an_error(given, options, is_name, words):
    with pytest.raises(TypeError, match=words):
        rates_among(given, options, is_name)


def test_a_name_is_cut_to_the_length_of_a_uid():
    assert uid_of(used) == f"{__name__}.used"
    long = type("L" * 200, (), {})
    assert uid_of(long) == "L" * 128
    with pytest.raises(TypeError, match=r"has no name to make a uid of: throttled\(…, uid=…\)"):
        uid_of(functools.partial(endpoint))


def test_async_callables_are_recognized():
    async def later():
        pass

    class Later:
        async def __call__(self):
            pass

    assert [is_async_callable(each) for each in (later, functools.partial(later), Later())] == [True] * 3
    assert [is_async_callable(each) for each in (endpoint, functools.partial(endpoint), len)] == [False] * 3


def test_the_option_of_another_limiter_is_an_error_that_names_ours():
    with pytest.raises(TypeError, match=r'takes no option limit=\'5/min\': .*rate="5/min"'):
        rates_among((), {"limit": "5/min"})


def test_the_responses_that_were_made_last_are_kept(store, monkeypatch):
    monkeypatch.setattr(guards, "_PREPARED", 1)
    throttle, respond = (
        HTTPThrottle("kept", "1/min", backend=store),
        guards.PreparedRejections(lambda rejection: rejection),
    )
    for wait in (1_000_000, 2_000_000):
        respond(throttle, Decision(False, 1, 0, wait))
    assert len(respond._made) == 1
