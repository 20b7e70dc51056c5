"""The adapters pass the contract tests of adapters."""

import json

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket, WebSocketState

from traffik.adapters import adapter_of
from traffik.testing import AdapterContract
from traffik_starlette.adapter import http, websocket


class TestAdapter(AdapterContract):
    adapter = http
    websocket_adapter = websocket

    def http_connection(self, peer="203.0.113.7", app=None, method="GET", path="/", headers=()):
        fields = [(name.encode(), value.encode()) for name, value in headers]
        scope = {"type": "http", "client": peer and (peer, 50_000), "method": method, "path": path, "headers": fields}
        return Request(scope if app is None else {**scope, "app": app})

    def another_object_for(self, connection):
        return Request(connection.scope)

    def websocket_connection(self, messages):
        async def send(message):
            if message["type"] == "websocket.send":
                messages.append(json.loads(message["text"]))

        connection = WebSocket({"type": "websocket", "client": ("203.0.113.7", 50_000)}, None, send)
        connection.client_state = connection.application_state = WebSocketState.CONNECTED
        return connection

    def make_app(self):
        return Starlette()


def test_an_http_connection_has_the_http_adapter():
    assert http is adapter_of(HTTPConnection({"type": "http"}))
