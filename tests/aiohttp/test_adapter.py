"""The adapters pass the contract tests of adapters."""

import asyncio
import json
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tests.aiohttp_server import calling, statuses
from traffik import AdapterNotFoundError
from traffik.adapters import adapter_of
from traffik.testing import AdapterContract
from traffik_aiohttp import WebSocketConnection
from traffik_aiohttp.adapter import http, websocket


class Transport(asyncio.Transport):
    """The transport of a socket with this peer address."""

    def __init__(self, peer):
        super().__init__({"peername": None if peer is None else (peer, 50_000)})


class Sent(web.WebSocketResponse):
    """A prepared WebSocket that keeps the messages sent to it."""

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
        request = make_mocked_request(method, quote(path), headers=dict(headers), transport=Transport(peer), app=app)
        request.match_info.route.resource = None  # an application adds it to a request that no route matches
        return request

    def another_object_for(self, connection):
        return connection.clone()

    def websocket_connection(self, messages):
        return WebSocketConnection(self.http_connection(), Sent(messages))

    def make_app(self):
        return web.Application()


def test_the_base_class_of_requests_has_the_http_adapter():
    assert http is adapter_of(object.__new__(web.BaseRequest))


def test_a_request_that_is_not_routed_has_no_application():
    assert http.app(object.__new__(web.BaseRequest)) is None
    assert http.app(object.__new__(web.Request)) is None


def test_a_unix_socket_has_no_peer():
    class Unix(asyncio.Transport):
        def get_extra_info(self, name, default=None):
            return ""

    assert http.peer(make_mocked_request("GET", "/", transport=Unix())) is None


def test_the_applications_mounted_in_one_are_listed():
    app, inner, domain = web.Application(), web.Application(), web.Application()
    app.add_subapp("/in", inner)
    app.add_domain("example.org", domain)
    app.router.add_static("/static", ".")
    assert list(http.subapps(app)) == [inner, domain]
    assert list(websocket.subapps(app)) == []


async def routes_of(app, *paths):
    """The routes of these requests, according to the adapter."""
    seen = []

    @web.middleware
    async def note(request, handler):
        seen.append(http.route(request))
        return await handler(request)

    app.middlewares.append(note)
    async with calling(app) as session:
        await statuses(session, *paths)
    return seen


@pytest.mark.anyio
async def test_a_route_is_the_path_of_its_resource_with_the_prefixes_of_mounts():
    async def handler(_):
        return web.Response()

    app, inner = web.Application(), web.Application()
    app.router.add_get("/users/{id}/orders", handler)
    app.router.add_static("/static", ".")
    inner.router.add_get(r"/x/{id:\d+}", handler)
    app.add_subapp("/in", inner)
    found = await routes_of(app, "/users/7/orders", "/static/nothing", "/in/x/7", "/in/x/y", "/nowhere")
    assert found == ["/users/{id}/orders", "/static", "/in/x/{id}", None, None]


def test_a_request_that_is_not_routed_has_no_route():
    assert http.route(object.__new__(web.BaseRequest)) is None


def test_a_websocket_has_the_path_and_route_of_its_request():
    request = make_mocked_request("GET", "/a%2Fb")
    connection = WebSocketConnection(request, Sent([]))
    assert (websocket.path(connection), websocket.route(connection)) == (http.path(request), http.route(request))


@pytest.mark.parametrize("wrong", [web.WebSocketResponse(), web.Response()])
def test_hitting_another_object_is_an_error_that_says_what_to_hit(wrong):
    with pytest.raises(AdapterNotFoundError, match=r"takes aiohttp\.web_request\.BaseRequest or .*Connection$"):
        adapter_of(wrong)
