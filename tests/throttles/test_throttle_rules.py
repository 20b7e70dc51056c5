"""Throttles with rules."""

from __future__ import annotations

import threading

import anyio
import pytest

from tests import toy
from traffik import HTTPThrottle, Limiter, Rule, Throttled, WebSocketThrottle, get_wait, is_throttled

pytestmark = pytest.mark.anyio


@pytest.fixture
def shut(store):
    """Makes a throttle with rules that refuses every request they match."""
    return lambda *rules, **options: HTTPThrottle("rules", "0/min", rules=rules, backend=store, **options)


def request(path="/", method="GET"):
    return toy.Request(path=path, method=method)


async def admitted(throttle, *connections, context=None):
    return [(await throttle.decide(each, context=context)).allowed for each in connections]


async def test_a_throttle_applies_to_the_paths_and_methods_of_its_rules(shut):
    throttle = shut(Rule("/api/**", methods=["POST"]), Rule("/admin"), Rule("/api/free", bypass=True))
    asked = [
        request("/api/a", "POST"),
        request("/api/a"),
        request("/admin"),
        request("/api/free", "POST"),
        request("/"),
    ]
    assert await admitted(throttle, *asked) == [False, True, False, True, True]


async def test_a_request_that_no_rule_matches_is_not_counted_and_remembered_as_admitted(store):
    throttle = HTTPThrottle("rules", "1/min", rules=[Rule("/free", bypass=True)], backend=store)
    connection = request("/free")
    for _ in range(3):
        assert await throttle.hit(connection) is connection
    assert (store.keys, is_throttled(connection, throttle), get_wait(connection)) == (0, False, 0)
    assert await throttle.check(connection, cost=9)
    assert (await throttle.check(connection)).rate is None


@pytest.mark.parametrize("cost", [-1, True, 1.0])
async def test_an_invalid_cost_is_an_error_even_if_no_rule_matches(cost, shut):
    for rules in ([Rule("/a")], [Rule("/a", when=lambda: True)]):
        with pytest.raises((TypeError, ValueError), match="cost"):
            await shut(*rules).hit(request("/b"), cost)


async def test_a_connection_that_was_refused_elsewhere_is_not_throttled_here(store):
    throttle = HTTPThrottle("rules", "0/min", rules=Rule("/free", bypass=True), backend=store)
    connection = request()
    await throttle.decide(connection)
    connection.scope["path"] = "/free"
    await throttle.hit(connection)
    assert not is_throttled(connection)


async def test_stat_and_reset_ignore_rules(store):
    throttle = HTTPThrottle("rules", "5/min", rules=[Rule("/api/**")], backend=store)
    await throttle.hit(request("/api"), 2)
    assert (await throttle.stat(request("/usage"))).hits_remaining == 3
    await throttle.reset(request("/usage"))
    assert (await throttle.stat(request("/usage"))).hits_remaining == 5


async def test_no_function_is_called_for_a_request_that_no_rule_matches(store):
    def never(*_):
        raise AssertionError

    options = {"identifier": never, "cost": never, "handle_throttled": never}
    throttle = HTTPThrottle("rules", never, **options, rules=[Rule("/a")], backend=store)
    assert await admitted(throttle, request("/b")) == [True]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("bypass", [False, True])
async def test_a_predicate_decides_with_the_context(is_async, bypass, shut):
    async def later(connection, context):
        return context["plan"] == "free"

    throttle = shut(Rule("/a", when=later if is_async else lambda _, context: context["plan"] == "free", bypass=bypass))
    plans = [(await admitted(throttle, request("/a"), context={"plan": plan}))[0] for plan in ("free", "paid")]
    assert plans == [bypass, not bypass]


async def test_a_predicate_is_called_only_if_its_result_matters(shut):
    asked = []

    def ask(name, answer):
        return lambda connection: asked.append(name) or answer

    throttle = shut(
        Rule("/a/**", when=ask("applies", answer=True)),
        Rule("/a/x"),
        Rule("/a/y", when=ask("bypass", answer=False), bypass=True),
        Rule("/a/z", bypass=True),
    )
    connections = [request(path) for path in ("/b", "/a/z", "/a/x", "/a/y", "/a/w")]
    assert await admitted(throttle, *connections) == [True, True, False, False, False]
    assert asked == ["bypass", "applies", "applies"]


async def test_after_a_false_predicate_the_next_is_called(shut):
    throttle = shut(Rule(when=lambda: False), Rule(when=lambda: True))
    assert await admitted(throttle, request()) == [False]
    assert await admitted(shut(Rule(when=lambda: False), Rule(when=lambda: 0)), request()) == [True]


async def test_a_predicate_that_fails_fails_the_hit_before_anything_is_counted(store, shut):
    with pytest.raises(ZeroDivisionError):
        await shut(Rule(when=lambda: 1 / 0)).hit(request())
    assert store.keys == 0


def test_an_async_predicate_is_an_error_in_sync_code(shut):
    async def predicate():
        return True

    with pytest.raises(TypeError, match=r"the predicate of a rule .*predicate is async"):
        shut(Rule(when=predicate)).sync.hit(request())


def test_sync_code_has_the_same_rules(shut):
    throttle = shut(Rule("/a", when=lambda: True))
    assert [throttle.sync.check(request(path)).allowed for path in ("/a", "/b")] == [False, True]
    assert throttle.sync.hit(request("/b"))


async def test_a_websocket_has_the_path_of_its_handshake(store):
    messages = []
    throttle = WebSocketThrottle("rules", "0/min", rules=[Rule("/chat/*", methods=["GET"])], backend=store)
    for path in ("/chat/1", "/news"):
        await throttle.hit(toy.Socket(messages, path=path))
    assert [message["type"] for message in messages] == ["rate_limit"]


async def test_an_added_rule_applies_to_the_next_hit(store):
    throttle = HTTPThrottle("rules", "0/min", backend=store)
    assert await admitted(throttle, request("/health")) == [False]
    throttle.add_rule(Rule("/health", bypass=True))
    assert await admitted(throttle, request("/health"), request("/a")) == [True, False]
    throttle.add_rule(Rule("/b"))
    assert await admitted(throttle, request("/health"), request("/a"), request("/b")) == [True, True, False]


async def test_a_removed_rule_no_longer_applies(store):
    rules = [Rule("/a"), Rule("/b"), Rule("/a/x", bypass=True)]
    throttle = HTTPThrottle("rules", "0/min", rules=rules, backend=store)
    throttle.remove_rule(Rule("/a"))
    assert await admitted(throttle, request("/a"), request("/b")) == [True, False]
    throttle.remove_rule(Rule("/b"))
    assert await admitted(throttle, request("/a"), request("/a/x")) == [False, True]
    throttle.remove_rule(Rule("/a/x", bypass=True))
    throttle.remove_rule(Rule("/nowhere"))
    assert (throttle.rules, await admitted(throttle, request("/a/x"))) == (None, [False])


async def test_an_added_rule_applies_in_another_thread_and_its_loop(store):
    throttle = HTTPThrottle("rules", "0/min", backend=store)
    seen, added, ready = [], threading.Event(), threading.Event()

    async def hit():
        seen.extend(await admitted(throttle, request("/health")))
        ready.set()
        added.wait(10)
        seen.extend(await admitted(throttle, request("/health")))

    thread = threading.Thread(target=anyio.run, args=(hit,))
    thread.start()
    ready.wait(10)
    throttle.add_rule(Rule("/health", bypass=True))
    added.set()
    thread.join(10)
    assert seen == [False, True]


def test_rules_do_not_make_another_definition(store):
    one = HTTPThrottle("rules", "1/min", rules=[Rule("/a")], backend=store)
    two = HTTPThrottle("rules", "1/min", rules=[Rule("/b")], backend=store)
    one.sync.hit(request("/a"))
    with pytest.raises(Throttled):
        two.sync.hit(request("/b"))


@pytest.mark.parametrize("rules", ["/a", ["/a"], 5])
def test_an_object_that_is_no_rule_is_an_error(rules, store):
    with pytest.raises(TypeError, match=r"rules are made as Rule\('/api/\*\*'\), not"):
        HTTPThrottle("rules", "1/min", rules=rules, backend=store)
    throttle = HTTPThrottle("rules", "1/min", backend=store)
    with pytest.raises(TypeError, match="rules are made as"):
        throttle.add_rule(rules)
    assert throttle.rules is None


def test_a_limiter_has_no_rules():
    with pytest.raises(TypeError, match="rules"):
        Limiter("rules", "1/min", rules=[])
