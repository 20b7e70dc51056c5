"""Consumers of Channels, sync and async: a message for each refused one, a denial before the handshake."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer

from tests.callers import DENIAL, converse
from tests.django import test_adapter
from traffik import WebSocketThrottle, is_throttled
from traffik.testing import AdapterContract
from traffik_django.adapter import http
from traffik_django.consumers import ThrottledConsumerMixin, consumer

pytestmark = pytest.mark.usefixtures("backend")


def chat_of(door, line, *mixins):
    class Chat(*mixins, AsyncWebsocketConsumer):
        async def connect(self):
            await door.hit(self)
            await self.accept()

        async def receive(self, text_data=None, bytes_data=None):
            await line.hit(self)
            if not is_throttled(self, line):
                await self.send(text_data=text_data)

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

    return Chat


@pytest.fixture(params=[chat_of, sync_chat_of])
def talk(request, uid):
    """What clients get that connect and send texts; the door and the lines have rates."""
    throttles = {}

    def talk(*texts, door="9/min", line="9/min", mixins=(ThrottledConsumerMixin,), **scope):
        if not throttles:
            throttles.update(door=WebSocketThrottle(f"{uid}-d", door), line=WebSocketThrottle(f"{uid}-l", line))
        app = request.param(throttles["door"], throttles["line"], *mixins).as_asgi()
        return asyncio.run(converse(app, *texts, **scope))

    return talk


def test_a_message_too_many_is_answered_and_the_socket_stays_open(talk):
    accepted, echo, refusal, again = talk("a", "b", "c", line="1/min")
    assert (accepted["type"], echo["text"]) == ("websocket.accept", "a")
    expected = '{"type":"rate_limit","error":"Too many requests. Retry in 120 seconds.","retry_after":120}'
    assert [refusal["text"], again["text"]] == [expected] * 2


def test_a_connection_too_many_is_denied(talk):
    assert [talk(door="1/min")[0]["type"] for _ in range(2)] == ["websocket.accept", "websocket.close"]


def test_a_server_that_can_is_told_the_status(talk):
    (opened,), (start, body) = [talk(door="1/min", **DENIAL) for _ in range(2)]
    assert (opened["type"], start["status"], dict(start["headers"])[b"retry-after"]) == (
        "websocket.accept",
        429,
        b"120",
    )
    assert body["body"] == b'{"detail": "Too many requests. Retry in 120 seconds."}'


def test_without_the_mixin_a_consumer_counts_as_accepted(talk):
    assert [each["type"] for each in talk(door="0/min", mixins=())] == ["websocket.send", "websocket.accept"]


class TestContract(AdapterContract):
    """Of HTTP it is that of Django; of WebSockets ours."""

    adapter = http
    websocket_adapter = consumer

    def http_connection(self, *args, **kwargs):
        return test_adapter.TestWSGI().http_connection(*args, **kwargs)

    def another_object_for(self, connection):
        import copy

        return copy.copy(connection)

    def websocket_connection(self, messages):
        import json

        async def send(message):
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
