"""The reaction to a flood of refused hits, one hit after another."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import toy
from traffik import EXEMPTED, NEVER, Decision, FloodPolicy, HTTPThrottle, WebSocketThrottle, get_wait, is_throttled
from traffik.adapters import register_adapter
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits.floods import MAX_PAUSE, Reaction, follow
from traffik.model.decisions import ADMITTED, UNAVAILABLE, PartitionedDecision
from traffik.model.errors import ConfigurationError

YES = Decision(allowed=True, limit=1, remaining=0)
NO = Decision(allowed=False, limit=1, remaining=0, retry_after=5_000_000)


def reactions(floods, decisions):
    """The reactions of a policy to the refused ones of these decisions about one connection."""
    before, found = None, []
    for decision in decisions:
        before = follow(before, decision)
        if not decision.allowed:
            found.append(floods.reaction(before))
    return found


def test_by_default_the_client_is_notified_of_each_refusal():
    assert reactions(FloodPolicy(), [NO] * 3) == [Reaction(tell=True, close=None, pause=0)] * 3


def test_notify_once_notifies_of_the_first_refusal_of_an_episode():
    told = [each.tell for each in reactions(FloodPolicy(notify="once"), [NO, NO, YES, NO, NO])]
    assert told == [True, False, True, False]


def test_a_hit_that_consumes_nothing_does_not_end_an_episode():
    told = [each.tell for each in reactions(FloodPolicy(notify="once"), [NO, ADMITTED, NO, ADMITTED, ADMITTED, NO])]
    assert told == [True, False, False]


def test_a_pause_is_the_wait():
    assert [each.pause for each in reactions(FloodPolicy(pause=True), [NO])] == [5_000_000]


def test_the_remembered_decision_has_the_partition():
    assert follow(None, PartitionedDecision.of(NO, b"whose")).partition == b"whose"


@pytest.mark.parametrize(("wait", "pause"), [(MAX_PAUSE + 1, MAX_PAUSE), (NEVER - 1, MAX_PAUSE), (NEVER, 0)])
def test_a_pause_is_bounded_and_0_if_no_wait_is_long_enough(wait, pause):
    assert [each.pause for each in reactions(FloodPolicy(pause=True), [NO._replace(retry_after=wait)])] == [pause]


def test_a_flood_is_closed_after_refusals_in_a_row():
    closed = [each.close for each in reactions(FloodPolicy(close_after=2), [NO, YES, NO, ADMITTED, NO, NO])]
    assert closed == [None, None, 1008, 1008]


def test_a_closed_websocket_is_neither_notified_again_nor_paused():
    last = reactions(FloodPolicy(pause=True, close_after=1), [NO, NO])
    assert last == [Reaction(tell=True, close=1008, pause=0), Reaction(tell=False, close=1008, pause=0)]


def test_while_the_store_is_unavailable_a_websocket_is_closed_with_try_again():
    away = NO._replace(degraded=UNAVAILABLE)
    assert [each.close for each in reactions(FloodPolicy(close_after=1), [away])] == [1013]


def test_a_decision_that_is_not_remembered_is_the_first_of_an_episode():
    assert FloodPolicy(notify="once", close_after=2).reaction(NO) == Reaction(tell=True, close=None, pause=0)


@given(st.lists(st.sampled_from([YES, NO, ADMITTED])))
def test_the_remembered_decision_equals_the_decision(decisions):
    before = None
    for decision in decisions:
        before = follow(before, decision)
        assert before == decision
        assert before.never == decision.never


@given(st.lists(st.sampled_from([YES, NO, ADMITTED])))
def test_notifications_are_at_most_one_more_than_admitted_hits(decisions):
    told = sum(each.tell for each in reactions(FloodPolicy(notify="once"), decisions))
    assert told <= decisions.count(YES) + 1


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"notify": "never"}, ValueError, 'notify is "every" or "once", not \'never\''),
        ({"notify": []}, ValueError, 'notify is "every" or "once", not \\[\\]'),
        ({"pause": 5}, TypeError, "pause is True or False, not 5"),
        ({"close_after": 0}, ValueError, "close_after is 1 or more, not 0"),
        ({"close_after": True}, TypeError, "close_after is a whole number of refused hits, or None, not True"),
        ({"close_after": 2.0}, TypeError, "not 2.0"),
    ],
)
def test_bad_options_are_errors_that_show_them(options, error, words):
    with pytest.raises(error, match=words):
        FloodPolicy(**options)


@pytest.mark.parametrize(
    ("kind", "floods"),
    [(HTTPThrottle, FloodPolicy()), (WebSocketThrottle, "once"), (WebSocketThrottle, {"pause": True})],
)
def test_floods_are_for_websockets(kind, floods):
    with pytest.raises(TypeError, match=r"floods is a FloodPolicy\(\), for a WebSocketThrottle only"):
        kind("floods", "1/min", floods=floods)


@pytest.fixture
def line(store):
    """Makes a throttle of one message a minute with this flood policy."""
    return lambda uid="floods", **options: WebSocketThrottle(
        uid, "1/min", backend=store, floods=FloodPolicy(**options), identifier=lambda _: "ada"
    )


@pytest.mark.anyio
class TestConnection:
    async def test_each_connection_has_its_own_episodes(self, line):
        throttle, sockets = line(notify="once"), [toy.Socket([]) for _ in range(2)]
        for _ in range(3):
            for socket in sockets:
                await throttle.hit(socket)
        assert [len(socket.messages) for socket in sockets] == [1, 1]

    async def test_objects_of_one_connection_share_an_episode(self, line):
        throttle, socket = line(notify="once"), toy.Socket([])
        for each in (socket, socket, toy.Socket([], scope=socket.scope)):
            await throttle.hit(each)
        assert (len(socket.messages), len(each.messages)) == (1, 0)

    async def test_each_throttle_has_its_own_episodes(self, line):
        throttles, socket = [line(f"floods:{name}", notify="once") for name in "ab"], toy.Socket([])
        for _ in range(3):
            for throttle in throttles:
                await throttle.hit(socket)
        assert len(socket.messages) == 2

    async def test_messages_of_cost_zero_are_free_and_do_not_end_an_episode(self, line):
        throttle, socket = line(notify="once"), toy.Socket([])
        for cost in (1, 1, 0, 1):
            await throttle.hit(socket, cost)
        assert (len(socket.messages), is_throttled(socket)) == (1, True)

    async def test_a_message_above_the_capacity_is_never_waited_for(self, line, clock):
        throttle, socket = line(pause=True), toy.Socket([])
        with clock.skipping_pauses() as pauses:
            await throttle.hit(socket, 2)
        assert (socket.messages[0]["retry_after"], pauses) == (None, [])

    async def test_an_async_store_gives_the_same_reactions(self, clock):
        class Distant(InMemoryBackend):
            in_process = False

        floods = FloodPolicy(notify="once", close_after=3)
        throttle = WebSocketThrottle("floods", "1/min", backend=Distant(clock=clock), floods=floods)
        socket = toy.Socket([])
        for cost in (1, 1, 1, 0, None):
            await throttle.hit(socket, cost)
        assert (len(socket.messages), socket.closed) == (1, 1008)

    async def test_a_paused_message_stays_refused(self, line, clock):
        throttle, socket = line(pause=True), toy.Socket([])
        with clock.skipping_pauses():
            for _ in range(2):
                await throttle.hit(socket)
        assert (is_throttled(socket), get_wait(socket)) == (True, 60_000)

    async def test_a_flood_closes_the_connection(self, line):
        throttle, socket = line(close_after=2), toy.Socket([])
        for _ in range(5):
            await throttle.hit(socket)
        assert (len(socket.messages), socket.closed) == (2, 1008)

    async def test_before_its_accept_every_refusal_is_a_denial(self, line, clock):
        throttle, socket = line(notify="once", pause=True, close_after=1), toy.Socket([])
        socket.accepted = False
        with clock.skipping_pauses() as pauses:
            for _ in range(3):
                await throttle.hit(socket)
        assert (len(socket.messages), socket.closed, pauses) == (2, None, [])

    async def test_a_handler_is_called_instead_of_notifying_the_client(self, store):
        told, socket = [], toy.Socket([])
        floods = FloodPolicy(notify="once", close_after=3)
        throttle = WebSocketThrottle("floods", "1/min", backend=store, floods=floods, handle_throttled=told.append)
        for _ in range(4):
            await throttle.hit(socket)
        assert (told, socket.messages, socket.closed) == ([socket], [], 1008)

    async def test_an_exempted_client_gets_no_reaction(self, store):
        socket = toy.Socket([])
        floods = FloodPolicy(close_after=1)
        throttle = WebSocketThrottle("f", "0/min", backend=store, floods=floods, identifier=lambda _: EXEMPTED)
        await throttle.hit(socket)
        assert (socket.messages, socket.closed) == ([], None)

    async def test_requests_are_refused_without_a_reaction(self, line):
        throttle = line(notify="once")
        await throttle.hit(toy.Request())
        for _ in range(2):
            with pytest.raises(toy.Throttled):
                await throttle.hit(toy.Request())

    async def test_an_adapter_without_pauses_is_an_error_that_names_the_missing_method(self, line):
        class Old(toy.HTTPAdapter):
            websocket = True

        class Connection(toy.Request):
            pass

        register_adapter(Connection, Old())
        throttle, connection = line(pause=True), Connection()
        await throttle.hit(connection)
        with pytest.raises(ConfigurationError, match="cannot deal with floods: it has no accepted, pause, close"):
            await throttle.hit(connection)

    async def test_a_pause_ends_when_its_task_is_cancelled(self, line):
        throttle, socket = line(pause=True), toy.Socket([])
        await throttle.hit(socket)
        with anyio.move_on_after(0.01) as waiting:
            await throttle.hit(socket)
        assert (waiting.cancelled_caught, is_throttled(socket)) == (True, True)


def test_a_pause_in_sync_code_is_an_error(line):
    throttle, socket = line(pause=True, notify="once"), toy.Socket([])
    socket.send = socket.messages.append
    throttle.sync.hit(socket)
    with pytest.raises(TypeError, match="the pause of a Socket is async"):
        throttle.sync.hit(socket)
