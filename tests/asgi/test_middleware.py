"""The middleware of ASGI, called as a server calls it, and around Litestar and Quart."""

from __future__ import annotations

import httpx
import pytest

from tests.servers import serve
from traffik import Rule, Throttled, trust_proxies
from traffik.live.pages import LivePage
from traffik.responses.rejections import Reply
from traffik_asgi import ASGIRequest, HTTPThrottle, ThrottleMiddleware, WebSocketThrottle, reply_to
from traffik_asgi.live import live_app

pytestmark = pytest.mark.anyio
PREFLIGHT = {"origin": "https://a.example", "access-control-request-method": "PUT"}


@pytest.fixture
def one(store):
    """A throttle of one hit a minute."""
    return HTTPThrottle("one", "1/min", backend=store)


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello"})


def hitting(*throttles):
    async def endpoint(scope, receive, send):
        for throttle in throttles:
            await throttle.hit(ASGIRequest(scope))
        await hello(scope, receive, send)

    return endpoint


async def ask(app, path="/", method="GET", root="", **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    transport = httpx.ASGITransport(app, client=("192.0.2.1", 1), root_path=root)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
        return await client.request(method, path, headers=fields)


async def statuses(app, times=2, **request):
    return [(await ask(app, **request)).status_code for _ in range(times)]


async def test_a_refusal_in_the_middleware_or_in_the_application_is_answered_alike(one, store):
    outside = [await ask(ThrottleMiddleware(hello, one)) for _ in range(2)]
    store.reset_sync()
    inside = [await ask(ThrottleMiddleware(hitting(one))) for _ in range(2)]
    assert [(each.status_code, each.headers, each.content) for each in outside] == [
        (each.status_code, each.headers, each.content) for each in inside
    ]
    assert (outside[1].status_code, outside[1].headers["retry-after"]) == (429, "60")


async def test_a_request_is_counted_once_and_has_one_set_of_headers(one):
    app = ThrottleMiddleware(ThrottleMiddleware(hello, one), one)
    first, second = await ask(app), await ask(app)
    assert (first.headers.get_list("ratelimit"), second.status_code) == (['"one";r=0;t=60'], 429)


async def test_a_refusal_after_the_start_of_the_response_is_an_error(one):
    async def late(scope, receive, send):
        await hello(scope, receive, send)
        await hitting(one, one)(scope, receive, send)

    with pytest.raises(Throttled):
        await ask(ThrottleMiddleware(late))


async def test_preflights_count_only_if_asked_for(one):
    fields = {name.replace("-", "_"): value for name, value in PREFLIGHT.items()}
    assert await statuses(ThrottleMiddleware(hello, one), 3, method="OPTIONS", **fields) == [200, 200, 200]
    counting = ThrottleMiddleware(hello, one, count_preflights=True)
    assert await statuses(counting, method="OPTIONS", **fields) == [200, 429]


async def test_headers_can_be_left_out(one):
    admitted, refused = [await ask(ThrottleMiddleware(hello, one, headers=False)) for _ in range(2)]
    assert (dict(admitted.headers), refused.status_code) == ({"content-type": "text/plain"}, 429)


async def test_a_handler_may_answer(store):
    reply = Reply(403, (("Content-Type", "text/plain"),), b"later")
    throttle = HTTPThrottle("handled", "0/min", backend=store, handle_throttled=lambda: reply)
    answer = await ask(ThrottleMiddleware(hello, throttle))
    assert (answer.status_code, answer.text) == (403, "later")


async def test_rules_match_the_path_below_the_prefix_of_the_server(store):
    app = ThrottleMiddleware(hello, HTTPThrottle("ruled", "0/min", backend=store, rules=Rule("/cafés/*")))
    paths = ("/shop/cafés/1", "/shop/bars/1", "/cafés/1")
    assert [(await ask(app, path, root="/shop")).status_code for path in paths] == [429, 200, 429]


async def test_a_proxy_that_is_trusted_names_the_client(one):
    trust_proxies(["192.0.2.1"])
    app = ThrottleMiddleware(hello, one)
    assert [(await ask(app, x_forwarded_for=f"203.0.113.{each}")).status_code for each in (1, 2, 1)] == [200, 200, 429]


async def test_a_websocket_on_a_server_that_cannot_deny_is_closed(store):
    sent = []

    async def send(message):
        sent.append((message["type"], message["code"]))

    throttle = WebSocketThrottle("sockets", "0/min", backend=store)
    scope = {"type": "websocket", "path": "/", "headers": [], "client": ("192.0.2.1", 1)}
    for app in (ThrottleMiddleware(hello, throttle), ThrottleMiddleware(hitting(throttle))):
        await app(dict(scope), hello, send)
    assert sent == [("websocket.close", 1008)] * 2


async def test_the_lifespan_passes_through():
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["type"], receive, send))

    await ThrottleMiddleware(app)({"type": "lifespan"}, "receive", "send")
    assert seen == [("lifespan", "receive", "send")]


def test_an_object_that_is_no_throttle_is_an_error():
    with pytest.raises(TypeError, match="the middleware takes throttles"):
        ThrottleMiddleware(hello, "1/min")


def litestar(throttle):
    from litestar import Litestar, Request, Response, get

    def refuse(request: Request, error: Throttled) -> Response:
        status, fields, body = reply_to(request.scope, error)
        return Response(body, status_code=status, headers=dict(fields), media_type=dict(fields)["Content-Type"])

    @get("/export")
    async def export(request: Request) -> str:
        await throttle.hit(ASGIRequest(request.scope))
        return "exported"

    return Litestar([export], exception_handlers={Throttled: refuse}, openapi_config=None)


def quart(throttle):
    from quart import Quart, request

    app = Quart("shop")

    @app.errorhandler(Throttled)
    async def refuse(error):
        status, fields, body = reply_to(request.scope, error)
        return body, status, dict(fields)

    @app.get("/export")
    async def export():
        await throttle.hit(ASGIRequest(request.scope))
        return "exported"

    return app


@pytest.mark.parametrize("framework", [litestar, quart])
def test_a_framework_serves_a_throttled_endpoint(framework, store):
    everything = HTTPThrottle("everything", "9/min", backend=store)
    exports = HTTPThrottle("exports", "1/min", backend=store)
    with serve(ThrottleMiddleware(framework(exports), everything)) as address:
        first, second = [httpx.get(f"http://{address}/export") for _ in range(2)]
    assert (first.text, first.status_code, second.status_code) == ("exported", 200, 429)
    assert first.headers["ratelimit"] == '"everything";r=8;t=60, "exports";r=0;t=60'
    assert second.headers["ratelimit"] == '"exports";r=0;t=60'
    assert second.json()["violated-policies"] == ["exports"]


def test_the_live_page_is_mounted_in_litestar():
    from litestar import Litestar, asgi

    with LivePage(token="a token of readers") as page:
        mounted = asgi("/limits", is_mount=True, copy_scope=True)(live_app(page))
        with serve(Litestar([mounted], openapi_config=None)) as address:
            fields = {"Authorization": "Bearer a token of readers"}
            with httpx.Client(base_url=f"http://{address}", headers=fields) as client:
                assert client.get("/limits").headers["location"] == "./limits/"
                assert "<title>Limits</title>" in client.get("/limits/").text
                assert client.get("/limits/state").json()["minutes"] == 10
