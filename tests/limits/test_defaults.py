"""The response options of a throttle and of the process, and the header fields of a connection."""

from __future__ import annotations

import pytest

from tests import toy
from traffik import (
    DENIED,
    HTTPThrottle,
    Limiter,
    ResponseOptions,
    Rule,
    Throttled,
    WebSocketThrottle,
    set_default_responses,
)
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits.defaults import default_responses, fields_of
from traffik.model.decisions import PartitionedDecision
from traffik.responses.options import DEFAULT

pytestmark = pytest.mark.anyio

KEYED = ResponseOptions(fields="draft-11", partition_secret=bytes(range(16)), jitter=600)
X = ResponseOptions(fields="x-ratelimit")


class Distant(InMemoryBackend):
    """A store that works asynchronously, as one on a network does."""

    in_process = False


@pytest.fixture(params=[InMemoryBackend, Distant])
def store(request, clock):
    return request.param(clock=clock)


@pytest.fixture(autouse=True)
def _no_default():
    yield
    set_default_responses(None)


async def fields(throttle):
    connection = toy.Request()
    await throttle.hit(connection)
    return dict(fields_of(toy.http.memory(connection)))


async def test_a_throttle_may_have_its_own_response_options(store):
    throttle = HTTPThrottle("answers", "5/min", backend=store, responses=X)
    assert (await fields(throttle))[b"x-ratelimit-remaining"] == b"4"


async def test_the_default_applies_to_all_throttles_without_options(store):
    made, own = (HTTPThrottle(uid, "5/min", backend=store, responses=given) for uid, given in (("a", None), ("b", X)))
    set_default_responses(ResponseOptions(fields="draft-06"))
    new = HTTPThrottle("c", "5/min", backend=store)
    assert [list(await fields(each))[-1] for each in (made, own, new)] == [
        b"ratelimit-reset",
        b"x-ratelimit-reset",
        b"ratelimit-reset",
    ]
    set_default_responses(None)
    assert default_responses() is DEFAULT
    assert list(await fields(made)) == [b"ratelimit-policy", b"ratelimit"]


async def test_the_default_applies_to_callable_rates(store):
    throttle = HTTPThrottle("answers", lambda _: "5/min", backend=store)
    assert b"ratelimit" in await fields(throttle)
    set_default_responses(X)
    assert b"ratelimit" not in await fields(throttle)


@pytest.mark.parametrize("given", ["x-ratelimit", ResponseOptions, 5])
def test_responses_of_another_type_are_errors(given):
    with pytest.raises(TypeError, match="responses are None or ResponseOptions"):
        HTTPThrottle("answers", "5/min", responses=given)
    with pytest.raises(TypeError, match="responses are None or ResponseOptions"):
        set_default_responses(given)


class TestThePartitionOfAClient:
    """The partition is in the decision, so the identifier is called only once."""

    @pytest.fixture
    def asked(self):
        return []

    @pytest.fixture(params=["direct", "sync identifier", "async identifier", "scope", "rules"])
    def throttle(self, request, store, asked):
        def sync_identifier(connection):
            asked.append(connection)
            return connection.scope["peer"]

        async def async_identifier(connection):
            return sync_identifier(connection)

        given = {"sync identifier": sync_identifier, "async identifier": async_identifier}.get(request.param)
        more = {"scope": {"context": {"scope": "one"}}, "rules": {"rules": Rule("/**")}}.get(request.param, {})
        return HTTPThrottle("answers", "1/min", backend=store, responses=KEYED, identifier=given, **more)

    async def test_all_fields_have_the_same_partition(self, throttle, asked):
        admitted, checked = await throttle.decide(toy.Request()), await throttle.check(toy.Request())
        with pytest.raises(Throttled) as refused:
            await throttle.hit(toy.Request())
        too_dear = await throttle.decide(toy.Request(), 2)
        each = [admitted, checked, refused.value.decision, too_dear]
        assert len({decision.partition for decision in each}) == 1
        assert [len(decision.partition) for decision in each] == [12] * 4
        assert len(asked) in {0, 4}

    async def test_sync_code_gives_the_same_partition(self, throttle):
        if throttle.identifier is None or "async" not in throttle.identifier.name:
            assert throttle.sync.decide(toy.Request()).partition
        else:
            with pytest.raises(TypeError):
                throttle.sync.decide(toy.Request())

    async def test_clients_have_different_partitions(self, throttle):
        one, two = [await throttle.decide(toy.Request(peer=f"192.0.2.{number}")) for number in (1, 2)]
        assert one.partition != two.partition

    async def test_a_client_gets_the_same_jitter_each_time(self, throttle):
        await throttle.hit(toy.Request())
        waits = set()
        for _ in range(3):
            with pytest.raises(Throttled) as refused:
                await throttle.hit(toy.Request())
            waits.add(refused.value.rejection.retry_after)
        (wait,) = waits
        assert 60 <= wait <= 660


async def test_a_decision_is_a_plain_tuple(store):
    decision = await HTTPThrottle("answers", "5/min", backend=store, responses=KEYED).decide(toy.Request())
    plain = await HTTPThrottle("others", "5/min", backend=store).decide(toy.Request())
    assert decision == plain
    assert (len(decision), type(plain).__name__, plain.partition) == (7, "Decision", b"")
    assert PartitionedDecision.of(plain, b"x")._replace(limit=1).partition == b""


async def test_a_limiter_can_have_fields_too(store):
    set_default_responses(KEYED)
    limiter = Limiter("answers", "5/min", backend=store)
    decision = await limiter.hit("user:42")
    assert decision.partition == KEYED.partition("user:42")
    assert "pk=:" in dict(limiter.policies(decision).headers(decision))["RateLimit"]


async def test_the_wait_for_a_websocket_includes_the_jitter(store):
    messages = []
    throttle = WebSocketThrottle("answers", "1/min", backend=store, responses=KEYED)
    connection = toy.Socket(messages, peer="192.0.2.1")
    for _ in range(2):
        await throttle.hit(connection)
    assert messages[0]["retry_after"] == 60 + KEYED.jitter_of(KEYED.partition("192.0.2.1")) > 120


class TestTheFieldsOfAConnection:
    async def test_they_are_those_of_all_decisions(self, store):
        connection = toy.Request()
        for uid in ("one", "two"):
            await HTTPThrottle(uid, "5/min", backend=store).hit(connection)
        assert [value for name, value in fields_of(toy.http.memory(connection)) if name == b"ratelimit"] == [
            b'"one";r=4;t=60',
            b'"two";r=4;t=60',
        ]

    async def test_there_are_none_if_a_rejection_has_other_fields(self, store):
        connection = toy.Request()
        await HTTPThrottle("answers", "5/min", backend=store, responses=X).hit(connection)
        memory = toy.http.memory(connection)
        assert fields_of(memory, {b"x-ratelimit-limit", b"content-type"}) == ()
        assert len(list(fields_of(memory, {b"content-type"}))) == 3

    @pytest.mark.parametrize("second", [{"identifier": lambda _: DENIED}, {"responses": ResponseOptions(fields=())}])
    async def test_a_rejection_has_only_those_of_its_refusal(self, store, second):
        connection, memory = toy.Request(), {}
        connection.scope["decisions"] = memory
        await HTTPThrottle("one", "5/min", backend=store).hit(connection)
        with pytest.raises(Throttled) as refused:
            await HTTPThrottle("two", "0/min", backend=store, **second).hit(connection)
        assert list(fields_of(memory, status=refused.value.rejection.status)) == []
        assert [value for name, value in fields_of(memory, status=404) if name == b"ratelimit"] == [b'"one";r=4;t=60']

    async def test_a_refused_request_that_is_served_has_those_of_all_decisions(self, store):
        connection = toy.Request()
        await HTTPThrottle("one", "5/min", backend=store).hit(connection)
        await HTTPThrottle("two", "0/min", backend=store, handle_throttled=lambda: None).hit(connection)
        for status in (200, 404):
            names = [name for name, _ in fields_of(toy.http.memory(connection), status=status)]
            assert names.count(b"ratelimit-policy") == 2

    def test_without_a_hit_there_are_none(self):
        assert list(fields_of({})) == []
