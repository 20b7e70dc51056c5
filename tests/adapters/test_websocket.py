"""The promises of a throttle for WebSockets, in every framework that has them."""

import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.adapters.services import Call, Socket
from tests.backends.redis.servers import free_port
from traffik import FloodPolicy, HTTPThrottle, Rule, WebSocketThrottle
from traffik.backends.redis import RedisBackend

TOLD = '{"type":"rate_limit","error":"Too many requests. Retry in 60 seconds.","retry_after":60}'


@pytest.fixture(autouse=True)
def needs_websockets(framework):
    if not framework.websockets:
        pytest.skip("this framework has no WebSockets")


@pytest.fixture
def one(uid):
    return WebSocketThrottle(uid, "1/min")


@pytest.fixture
def open_socket(served):
    """Opens the WebSocket of a service that is served once."""
    clients = []

    def start(socket):
        if not clients:
            clients.append(served(sockets={"/ws": socket}))
        return connect(f"ws://{clients[0].base_url.netloc.decode()}/ws")

    return start


def say(socket, text):
    socket.send(text)
    return socket.recv(timeout=5)


def test_a_refused_message_is_answered_byte_for_byte_and_the_connection_continues(open_socket, clock, one):
    with open_socket(Socket(message=[Call("hit", one)])) as socket:
        assert [say(socket, text) for text in ("one", "two", "three")] == ["one", TOLD, TOLD]
        clock.advance(seconds=60)
        assert say(socket, "four") == "four"


def test_a_cost_above_the_capacity_has_no_wait(open_socket, one):
    with open_socket(Socket(message=[Call("hit", one, 2)])) as socket:
        told = json.loads(say(socket, "dear"))
    assert (told["type"], told["retry_after"]) == ("rate_limit", None)


def test_the_quota_outlives_the_connection(open_socket, one):
    socket = Socket(message=[Call("hit", one)])
    with open_socket(socket) as first:
        assert say(first, "one") == "one"
    with open_socket(socket) as second:
        assert say(second, "two") == TOLD


def test_is_throttled_is_about_the_last_hit(open_socket, one):
    with open_socket(Socket(message=[Call("hit", one), Call("hit", one, 0)])) as socket:
        assert [say(socket, "one"), say(socket, "two"), socket.recv(timeout=5)] == ["one", TOLD, "two"]


def test_an_endpoint_may_close_a_throttled_websocket(open_socket, one):
    with open_socket(Socket(message=[Call("hit", one)], closes=True)) as socket:
        assert [say(socket, text) for text in ("one", "two")] == ["one", TOLD]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
    assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize("kind", [WebSocketThrottle, HTTPThrottle])
def test_a_refused_handshake_is_answered_with_a_status(framework, open_socket, uid, kind):
    socket = Socket(door=[Call("hit", kind(uid, "1/min"))])
    with open_socket(socket):
        pass
    with pytest.raises(InvalidStatus) as denied, open_socket(socket):
        pass
    response = denied.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (429, "60")
    assert response.headers["RateLimit"] == f'"{uid}";r=0;t=60'
    assert response.body == framework.body("Too many requests. Retry in 60 seconds.", uid)


def test_a_throttle_of_a_middleware_refuses_the_handshake(served, one):
    client = served(sockets={"/ws": Socket()}, guards=[one])
    address = f"ws://{client.base_url.netloc.decode()}/ws"
    with connect(address):
        pass
    with pytest.raises(InvalidStatus) as denied, connect(address):
        pass
    assert (denied.value.response.status_code, client.get("/").status_code) == (429, 200)


def test_a_disabled_throttle_refuses_nothing(open_socket, one):
    one.disable()
    with open_socket(Socket(message=[Call("hit", one)])) as socket:
        assert [say(socket, text) for text in ("one", "two")] == ["one", "two"]


@pytest.fixture
def line(open_socket, uid):
    """Opens a WebSocket with a throttle of one message a minute and this flood policy."""

    def start(floods, **options):
        return open_socket(Socket(message=[Call("hit", WebSocketThrottle(uid, "1/min", floods=floods, **options))]))

    return start


def test_a_flood_gets_one_message_and_a_pause_if_the_policy_says_so(line, clock):
    with clock.skipping_pauses() as pauses, line(FloodPolicy(notify="once", pause=True)) as socket:
        for text in "12345":
            socket.send(text)
        assert [socket.recv(timeout=5) for _ in range(3)] == ["1", TOLD, "5"]
    assert pauses == [20_000_000] * 3


def test_a_flood_is_closed_if_the_policy_says_so(line):
    with line(FloodPolicy(close_after=2)) as socket:
        assert [say(socket, text) for text in ("one", "two", "three")] == ["one", TOLD, TOLD]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "Rate limit exceeded")


def test_while_the_store_does_not_answer_a_websocket_is_closed_with_try_again(line):
    away = RedisBackend(f"redis://127.0.0.1:{free_port()}", on_error="throttle")
    with line(FloodPolicy(close_after=1), backend=away) as socket:
        assert "unavailable" in say(socket, "one")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
    assert closed.value.rcvd.code == 1013


def test_a_rule_matches_the_path_of_the_handshake(open_socket, uid):
    here, there = (WebSocketThrottle(uid, "0/min", rules=[Rule(path)]) for path in ("/ws", "/other"))
    with open_socket(Socket(message=[Call("hit", here), Call("hit", there)])) as socket:
        assert json.loads(say(socket, "one"))["type"] == "rate_limit"
        assert socket.recv(timeout=5) == "one"
