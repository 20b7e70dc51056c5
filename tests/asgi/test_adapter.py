"""The adapter of ASGI passes the contract of adapters, and reads what servers and frameworks put into the scope."""

from __future__ import annotations

import asyncio
import json

import pytest

from traffik import ConfigurationError
from traffik.model.coroutines import run_sync
from traffik.testing import AdapterContract
from traffik_asgi import ASGIRequest, ASGIWebSocket, WebSocketThrottle, adapter


class TestAdapter(AdapterContract):
    websocket_adapter = adapter.websocket
    adapter = adapter.http

    def http_connection(self, peer="203.0.113.7", app=None, method="GET", path="/", headers=()):
        fields = [(name.encode(), value.encode()) for name, value in headers]
        client = None if peer is None else (peer, 1)
        scope = {"type": "http", "client": client, "method": method, "path": path, "headers": fields}
        return ASGIRequest({**scope, "traffik.app": app})

    def another_object_for(self, connection):
        return ASGIRequest(connection.scope)

    def websocket_connection(self, messages):
        async def send(message):
            if message["type"] == "websocket.send":
                messages.append(json.loads(message["text"]))

        scope = {"type": "websocket", "client": ("203.0.113.7", 1), "path": "/", "headers": []}
        websocket = ASGIWebSocket(scope, silent, send)
        run_sync(websocket.send({"type": "websocket.accept"}))
        return websocket


async def silent():
    return {"type": "websocket.receive", "text": "hello"}


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"path": "/items"}, "/items"),
        ({"root_path": "/in", "path": "/in/items"}, "/in/items"),
        ({"root_path": "/in", "path": "/items"}, "/in/items"),
        ({"root_path": "/in", "path": "/inner"}, "/in/inner"),
        ({"root_path": "/shop", "path": "/shop/items", "traffik.root": "/shop"}, "/items"),
        ({"root_path": "/shop/in", "path": "/items", "traffik.root": "/shop"}, "/in/items"),
        ({"root_path": "/shop", "path": "/shop", "traffik.root": "/shop"}, "/"),
    ],
)
def test_the_path_has_the_prefix_of_a_mount_and_not_that_of_the_server(scope, path):
    assert adapter.http.path(ASGIRequest(scope)) == path


def test_a_rule_by_route_is_an_error_that_says_what_to_do():
    with pytest.raises(ConfigurationError, match="name paths in the rule"):
        adapter.http.route(ASGIRequest({}))


def test_connections_are_made_of_a_scope():
    with pytest.raises(TypeError, match=r"a dict such as request\.scope, not 5"):
        ASGIRequest(5)
    with pytest.raises(TypeError, match="put a ThrottleMiddleware around the application"):
        ASGIWebSocket({})
    assert repr(ASGIRequest({"method": "GET", "path": "/"})) == "<ASGIRequest GET '/'>"


def test_a_websocket_that_has_ended_is_sent_nothing():
    sent = []

    async def send(message):
        sent.append(message["type"])

    async def talk():
        websocket = ASGIWebSocket({}, silent, send)
        await websocket.send({"type": "websocket.accept"})
        await websocket.close(1008, "enough")
        await websocket.close(1008, "enough")
        await websocket.send({"type": "websocket.send", "text": "late"})
        return await ASGIWebSocket(websocket.scope).receive()

    assert asyncio.run(talk()) == {"type": "websocket.disconnect", "code": 1008}
    assert sent == ["websocket.accept", "websocket.close"]


async def failing(message):
    if message["type"] != "websocket.accept":
        raise OSError("the client has gone")


async def opened():
    websocket = ASGIWebSocket({"path": "/", "headers": [], "client": ("192.0.2.1", 1)}, silent, failing)
    await websocket.send({"type": "websocket.accept"})
    return websocket


def test_a_client_that_has_gone_ends_an_application_that_only_sends():
    async def push():
        websocket = await opened()
        with pytest.raises(OSError, match="has gone"):
            await websocket.send({"type": "websocket.send", "text": "news"})
        return websocket.accepted, websocket.is_open

    assert asyncio.run(push()) == (True, False)


def test_a_client_that_has_gone_is_no_error_of_a_throttle(store):
    throttle = WebSocketThrottle("gone", "0/min", backend=store)

    async def refuse():
        refused, closed = await opened(), await opened()
        await throttle.hit(refused)
        await closed.close(1008, "enough")
        return refused.is_open, closed.is_open

    assert asyncio.run(refuse()) == (False, False)
