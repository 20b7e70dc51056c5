"""The adapters keep the contract of all adapters."""

import asyncio
import json
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from traffik import AdapterNotFoundError
from traffik.adapters import adapter_of
from traffik.testing import AdapterContract
from traffik_aiohttp import WebSocketConnection
from traffik_aiohttp.adapter import http, websocket


class Transport(asyncio.Transport):
    """The transport of a socket with this address at its other end."""

    def __init__(self, peer):
        super().__init__({"peername": None if peer is None else (peer, 50_000)})


class Sent(web.WebSocketResponse):
    """A WebSocket that is prepared, and keeps what it is sent."""

    def __init__(self, messages):
        super().__init__()
        self.messages = messages

    @property
    def prepared(self):
        return hasattr(self, "messages")

    async def close(self, **_):
        self._closed = True

    async def send_str(self, data, compress=None):
        self.messages.append(json.loads(data))


class TestAdapter(AdapterContract):
    adapter = http
    websocket_adapter = websocket

    def http_connection(self, peer="203.0.113.7", app=None, method="GET", path="/", headers=()):
        return make_mocked_request(method, quote(path), headers=dict(headers), transport=Transport(peer), app=app)

    def another_object_for(self, connection):
        return connection.clone()

    def websocket_connection(self, messages):
        return WebSocketConnection(self.http_connection(), Sent(messages))

    def make_app(self):
        return web.Application()


def test_the_base_of_all_requests_has_the_adapter_of_http():
    assert http is adapter_of(object.__new__(web.BaseRequest))


def test_a_request_that_is_not_routed_has_no_application():
    assert http.app(object.__new__(web.BaseRequest)) is None
    assert http.app(object.__new__(web.Request)) is None


def test_a_unix_socket_has_no_peer():
    class Unix(asyncio.Transport):
        def get_extra_info(self, name, default=None):
            return ""

    assert http.peer(make_mocked_request("GET", "/", transport=Unix())) is None


def test_an_application_tells_what_is_mounted_in_it():
    app, inner, domain = web.Application(), web.Application(), web.Application()
    app.add_subapp("/in", inner)
    app.add_domain("example.org", domain)
    app.router.add_static("/static", ".")
    assert list(http.subapps(app)) == [inner, domain]
    assert list(websocket.subapps(app)) == []


@pytest.mark.parametrize("wrong", [web.WebSocketResponse(), web.Response()])
def test_another_object_of_the_framework_is_told_what_to_hit(wrong):
    with pytest.raises(AdapterNotFoundError, match=r"takes aiohttp\.web_request\.BaseRequest or .*Connection$"):
        adapter_of(wrong)
