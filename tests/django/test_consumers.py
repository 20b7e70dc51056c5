"""Consumers of Channels, sync and async: refusals are messages after the accept, and denials before it."""

import asyncio
import json

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer

from tests.callers import DENIAL, converse
from tests.django import test_adapter
from traffik import ConfigurationError, FloodPolicy, Throttled, WebSocketThrottle, is_throttled
from traffik.testing import AdapterContract, VirtualClock
from traffik_django.adapter import http
from traffik_django.consumers import ConsumerClosed, ThrottledConsumerMixin, consumer

pytestmark = pytest.mark.usefixtures("backend")


left_with = []
"""The codes with which consumers were left, the latest one last."""


def chat_of(door, line, *mixins):
    class Chat(*mixins, AsyncWebsocketConsumer):
        async def connect(self):
            await door.hit(self)
            await self.accept()

        async def receive(self, text_data=None, bytes_data=None):
            await line.hit(self)
            if not is_throttled(self, line):
                await self.send(text_data=text_data)
            elif text_data == "close":
                await self.close()

        async def disconnect(self, code):
            left_with.append(code)

    return Chat


def sync_chat_of(door, line, *mixins):
    class Chat(*mixins, WebsocketConsumer):
        def connect(self):
            door.sync.hit(self)
            self.accept()

        def receive(self, text_data=None, bytes_data=None):
            line.sync.hit(self)
            if not is_throttled(self, line):
                self.send(text_data=text_data)
            elif text_data == "close":
                self.close()

        def disconnect(self, code):
            left_with.append(code)

    return Chat


@pytest.fixture(params=[chat_of, sync_chat_of])
def talk(request, uid):
    """Makes a consumer with rates for new WebSockets and for messages, connects and sends texts; the replies."""
    throttles = {}

    def talk(*texts, door="9/min", line="9/min", mixins=(ThrottledConsumerMixin,), floods=None, **scope):
        if not throttles:
            lines = WebSocketThrottle(f"{uid}-l", line, floods=floods)
            throttles.update(door=WebSocketThrottle(f"{uid}-d", door), line=lines)
        app = request.param(throttles["door"], throttles["line"], *mixins).as_asgi()
        return asyncio.run(converse(app, *texts, **scope))

    return talk


def test_the_mixin_after_the_consumer_is_an_error():
    with pytest.raises(ConfigurationError, match=r"since WebsocketConsumer\.accept hides that of"):
        type("Chat", (WebsocketConsumer, ThrottledConsumerMixin), {})


def test_a_refused_message_is_answered_and_the_socket_stays_open(talk):
    accepted, echo, refusal, again = talk("a", "b", "c", line="1/min")
    assert (accepted["type"], echo["text"]) == ("websocket.accept", "a")
    expected = '{"type":"rate_limit","error":"Too many requests. Retry in 60 seconds.","retry_after":60}'
    assert [refusal["text"], again["text"]] == [expected] * 2


def test_a_refused_connection_is_denied(talk):
    assert [talk(door="1/min")[0]["type"] for _ in range(2)] == ["websocket.accept", "websocket.close"]


def test_a_denial_has_a_status_if_the_server_supports_it(talk):
    (opened,), (start, body) = [talk(door="1/min", **DENIAL) for _ in range(2)]
    assert (opened["type"], start["status"], dict(start["headers"])[b"retry-after"]) == (
        "websocket.accept",
        429,
        b"60",
    )
    assert json.loads(body["body"])["detail"] == "Too many requests. Retry in 60 seconds."
    assert dict(start["headers"])[b"content-type"] == b"application/problem+json"


def test_without_the_mixin_a_consumer_is_treated_as_accepted(talk):
    assert [each["type"] for each in talk(door="0/min", mixins=())] == ["websocket.send", "websocket.accept"]


def test_a_flood_gets_one_message(talk):
    got = talk("a", "b", "c", "d", line="1/min", floods=FloodPolicy(notify="once"))
    assert [each["type"] for each in got] == ["websocket.accept", "websocket.send", "websocket.send"]


def test_a_flood_is_paused_without_a_sleeping_thread(talk):
    clock = VirtualClock()
    with clock.skipping_pauses() as pauses:
        got = talk("a", "b", "c", line="1/min", floods=FloodPolicy(pause=True))
    assert ([each["type"] for each in got[1:]], pauses) == (["websocket.send"] * 3, [20_000_000] * 2)


def test_a_flood_is_closed_and_the_consumer_is_disconnected(talk):
    left_with.clear()
    got = talk("a", "b", "c", "d", "e", line="1/min", floods=FloodPolicy(close_after=2))
    assert [each["type"] for each in got[1:]] == ["websocket.send"] * 3 + ["websocket.close"]
    assert (got[-1]["code"], got[-1]["reason"], left_with) == (1008, "Rate limit exceeded", [1008])


def test_a_websocket_closed_by_its_consumer_is_not_closed_again(talk):
    left_with.clear()
    got = talk("a", "close", "c", "d", line="1/min", floods=FloodPolicy(close_after=3))
    assert [each["type"] for each in got[1:]] == ["websocket.send"] * 2 + ["websocket.close"]
    assert left_with == [1000]


@pytest.mark.parametrize("floods", [FloodPolicy(), FloodPolicy(close_after=1)])
@pytest.mark.parametrize("kind", [chat_of, sync_chat_of])
def test_a_refusal_after_the_client_has_gone_raises_nothing(kind, floods, uid):
    left_with.clear()
    throttles = [WebSocketThrottle(f"{uid}-{rate[0]}", rate, floods=floods) for rate in ("9/min", "0/min")]
    incoming = [
        {"type": f"websocket.{kind}", "code": 1001, "text": ""} for kind in ("disconnect", "receive", "connect")
    ]

    async def receive():
        return incoming.pop()

    async def send(message):
        if message["type"] != "websocket.accept":
            raise OSError

    scope = {"type": "websocket", "client": ("192.0.2.1", 1)}
    asyncio.run(kind(*throttles, ThrottledConsumerMixin).as_asgi()(scope, receive, send))
    assert left_with == [1008 if floods.close_after else 1001]


def test_a_sync_consumer_needs_the_mixin_for_a_pause(uid):
    throttle = WebSocketThrottle(uid, "1/min", floods=FloodPolicy(pause=True))
    app = sync_chat_of(WebSocketThrottle(f"{uid}-d", "9/min"), throttle).as_asgi()
    with pytest.raises(ConfigurationError, match="put ThrottledConsumerMixin before its base"):
        asyncio.run(converse(app, "a", "b"))


def test_the_end_of_a_flooded_connection_cannot_be_swallowed(uid):
    throttle, raised = WebSocketThrottle(uid, "0/min", floods=FloodPolicy(close_after=1)), []

    class Chat(ThrottledConsumerMixin, AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await throttle.hit(self)
            except Throttled as error:
                raised.append(type(error))

    asyncio.run(converse(Chat.as_asgi(), "a", "b"))
    assert raised == [ConsumerClosed] * 2


class TestContract(AdapterContract):
    """The contract tests of adapters, with Django's request for HTTP and a consumer for WebSockets."""

    adapter = http
    websocket_adapter = consumer

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"  # Channels runs on asyncio only

    def http_connection(self, *args, **kwargs):
        return test_adapter.TestWSGI().http_connection(*args, **kwargs)

    def another_object_for(self, connection):
        import copy

        return copy.copy(connection)

    def websocket_connection(self, messages):
        import json

        async def send(message):
            if message["type"] == "websocket.send":
                messages.append(json.loads(message["text"]))

        connection = AsyncWebsocketConsumer()
        connection.scope, connection.base_send = {"client": ("203.0.113.7", 50_000)}, send
        return connection

    def make_app(self):
        from django.apps import apps

        return apps


def test_a_consumer_without_an_address_has_no_peer():
    connection = AsyncWebsocketConsumer()
    connection.scope = {}
    assert consumer.peer(connection) is None
    assert (list(consumer.subapps(None)), consumer.app(connection) is not None) == ([], True)


def test_a_consumer_has_the_path_of_its_scope_and_no_route():
    chat = AsyncWebsocketConsumer()
    chat.scope = {"path": "/proxy/chat/7", "root_path": "/proxy"}
    assert consumer.path(chat) == "/chat/7"
    with pytest.raises(ConfigurationError, match="give the rule a path instead of a route"):
        consumer.route(chat)
