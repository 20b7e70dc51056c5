"""Programs that use traffik, checked by type checkers. Nothing here runs."""

import re
from ipaddress import ip_network
from typing import Any, assert_type
from wsgiref.types import StartResponse

import httpx
from aiohttp import ClientSession, web
from django.http import HttpRequest, HttpResponse
from django.views.generic import TemplateView
from fastapi import FastAPI, Request, WebSocket
from litestar import Litestar, get
from litestar import Request as LitestarRequest
from litestar.datastructures import State
from starlette.requests import HTTPConnection

import traffik_aiohttp
import traffik_asgi
import traffik_django
import traffik_starlette
import traffik_wsgi
from traffik import (
    AllOf,
    Decision,
    DecisionEvent,
    EventLog,
    FloodPolicy,
    Hit,
    HTTPThrottle,
    Limiter,
    Penalty,
    Rate,
    ResponseOptions,
    Rule,
    Slots,
    StrategyStat,
    Subscription,
    Tiers,
    WebSocketThrottle,
    get_wait,
    group,
    hit_all,
    is_throttled,
    load_throttles,
    set_default_responses,
    subscribe,
    trust_proxies,
    unsubscribe,
)
from traffik import identities as ready
from traffik.backends.inmemory import InMemoryBackend
from traffik.identities.networks import Networks
from traffik.pacing import by_host
from traffik.pacing.aiohttp import pace
from traffik.pacing.httpx import AsyncPacedTransport, PacedTransport
from traffik.responses.options import Policies
from traffik.responses.rejections import Reply
from traffik.throttles import Throttle
from traffik.throttles.asgi import Receive, Send
from traffik_django import identities
from traffik_starlette import Throttled, ThrottleMiddleware, answer_throttled, document_throttles, throttled
from traffik_starlette import identities as of_starlette


async def plan_of(identity: str) -> str | None:
    return identity or None


app = FastAPI(lifespan=InMemoryBackend().lifespan)
throttle = HTTPThrottle(uid="http", rate="100/min")
typed = traffik_starlette.HTTPThrottle(uid="typed", rate=Rate(100, 60_000_000))
guards = AllOf(throttle, typed)
typed_ws = traffik_starlette.WebSocketThrottle("ws", ["10/s", Rate(1000, 3_600_000_000)])
app.add_middleware(ThrottleMiddleware, throttle)
app.add_middleware(ThrottleMiddleware, [typed, typed_ws], headers=False)
app.add_exception_handler(Throttled, answer_throttled)
document_throttles(app)


async def any_connection(request: Request, websocket: WebSocket) -> None:
    assert_type(throttle, HTTPThrottle[Any])
    assert_type(guards, AllOf[Any])
    assert_type(guards.sync.hit(request), Any)
    assert_type(await throttle.hit(request), Any)
    assert_type(await WebSocketThrottle("w", "1/s")(websocket, context={"scope": "a"}), Any)
    assert_type(await throttle.check(request, cost=3), Decision)
    assert_type(await throttle.stat(request), StrategyStat | None)
    assert_type(is_throttled(request), bool)
    assert_type(get_wait(websocket, throttle), float)


async def typed_connection(request: Request, websocket: WebSocket) -> None:
    assert_type(await typed.hit(request), Request)
    assert_type(await typed(request, cost=3), Request)
    assert_type(typed.sync.hit(request), Request)
    assert_type(await typed.wait(request, cost=3, timeout=2), Decision)
    assert_type(typed.sync.wait(request), Decision)
    async with typed.slot(request, wait=5, on_lost="cancel") as slot:
        assert_type(slot.decision, Decision)
    with typed.sync.slot(request, on_lost=lambda slot: None) as sync_slot:
        assert_type(sync_slot.lost, bool)
    assert_type(await typed_ws.hit(websocket), WebSocket)
    WebSocketThrottle("f", "1/s", floods=FloodPolicy(notify="once", pause=True, close_after=3))
    FloodPolicy(notify="never")  # type: ignore[arg-type]  # refused: it is "every" or "once"
    await typed.hit(websocket)  # type: ignore[arg-type]  # refused: a WebSocket is no Request
    await typed_ws.hit(request)  # type: ignore[arg-type]  # refused: nor the other way round
    await typed.hit(request, cost=1.5)  # type: ignore[arg-type]  # refused: a cost is an integer


async def limiter() -> None:
    assert_type(await Limiter("l", "1/s").hit("user:1"), Decision)
    assert_type(await Limiter("l", "1/s").wait("user:1", timeout=1.5, jitter=0.1), Decision)
    assert_type(Limiter("l", "1/s").sync.wait(42, cost=2), Decision)
    assert_type(Limiter("l", "1/s").sync.stat(42), StrategyStat | None)


async def slots() -> None:
    exports = Slots("exports", 5, lease="60s")
    async with exports.slot("tenant", 2, context={"scope": "night"}) as slot:
        assert_type(slot.lost, bool)
    with exports.sync.slot(42, wait=True) as sync_slot:
        assert_type(sync_slot.decision, Decision)
    assert_type((await exports.stat()).free, int)
    exports.slot(on_lost="abort")  # type: ignore[arg-type]  # refused: it is "cancel" or a function
    Slots("exports", 5, lease=60)  # type: ignore[arg-type]  # refused: a lease has a unit
    tiers = Tiers({"free": "1/s", "pro": ["9/s", Rate(5, 1, unit="tokens")]}, tier=plan_of, default="free")
    Limiter("tiers", tiers).update(rate=tiers.with_rates({"free": "2/s"}))
    Limiter("logins", "3/10min", strategy=Penalty(base="10 min", factor=2))


async def paced(limiter: Limiter) -> None:
    httpx.Client(transport=PacedTransport(limiter))
    httpx.AsyncClient(transport=AsyncPacedTransport(limiter, lambda request: request.method, retries=0, timeout=5))
    ClientSession(middlewares=[pace(limiter, methods={"GET", "POST"})])
    AsyncPacedTransport(limiter, by_host, transport=httpx.HTTPTransport())  # type: ignore[arg-type]  # refused: sync


def plain_cost(request: HTTPConnection) -> int:
    return len(request.headers)


async def waiting_rate(request: Request, context: dict[str, Any]) -> str:
    return f"{context['limit']}/min"


def answer(error: Throttled) -> bytes:
    assert_type(error.rejection.reply(["text/html"]), Reply)
    return error.rejection.reply([]).body


async def tell(request: Request, decision: Decision) -> None:
    assert_type(decision.wait_seconds, int)


HTTPThrottle("options", waiting_rate, cost=plain_cost, identifier=lambda request: "a", handle_throttled=tell)


async def is_free(request: Request, context: dict[str, Any]) -> bool:
    return context["plan"] == "free" and "debug" not in request.headers


HTTPThrottle(
    "ruled", "1/s", rules=[Rule("/api/**", methods=["GET"], when=is_free), Rule(re.compile("/a"), bypass=True)]
)
WebSocketThrottle("ruled", "1/s", rules=Rule("/chat")).add_rule(Rule(methods={"GET"}, when=lambda _: True))
assert_type(Rule("/api/**").matches("GET", "/api"), bool)
assert_type(Rule(route="/users/{id}").matches("GET", "/users/7", "/users/{id}"), bool)
assert_type([limit.uid for limit in group("api:*")], list[str])
group("*").add_rule(Rule("/api/**"))
Rule("/api/**", "/users/{id}")  # type: ignore[call-arg]  # refused: all but the path have names
Rule(b"/api")  # type: ignore[arg-type]  # refused: a path is text
HTTPThrottle("wrong", "1/s", rules=["/api"])  # type: ignore[list-item]  # refused: text is no rule

HTTPThrottle("wrong", 5)  # type: ignore[arg-type]  # refused: a number is no rate
HTTPThrottle("wrong", "1/s", cost="1")  # type: ignore[arg-type]  # refused: a cost is an integer
HTTPThrottle("wrong", "1/s", None)  # type: ignore[call-arg]  # refused: options have names


def written(policies: Policies, decision: Decision) -> list[tuple[str, str]]:
    assert_type(policies.seconds(decision), int | None)
    return [("X-Left", str(decision.remaining))]


set_default_responses(
    ResponseOptions(fields=("draft-11", written), unit="requests", partition_secret=b"0" * 16, jitter=5)
)
HTTPThrottle("out", "1/s", responses=ResponseOptions(fields="x-ratelimit", problem=False))
HTTPThrottle("wrong", "1/s", responses="x-ratelimit")  # type: ignore[arg-type]  # refused: a name is only a part of it


@throttled("5/s", typed, cost=2)
async def endpoint(q: int) -> str:
    return str(q)


async def decorated() -> None:
    assert_type(await endpoint(3), str)
    await endpoint("3")  # type: ignore[arg-type]  # refused: a decorated endpoint keeps its types


of_django = traffik_django.HTTPThrottle("django", "5/s", identifier=identities.user)


trust_proxies(["10.0.0.0/8", ip_network("2001:db8::/32")], header="Forwarded", ipv6_prefix=56)
trust_proxies(1.5)  # type: ignore[arg-type]  # refused: neither networks nor a number
known = ready.first_of(ready.api_key("X-API-Key", {"k-1"}), ready.bearer(lambda token: None), of_starlette.user)
HTTPThrottle("ready", "5/s", identifier=ready.deny("192.0.2.0/24", ready.hashed(known, b"16 bytes or more")))
HTTPThrottle("both", "5/s", identifier=ready.combined(ready.address(2), ready.user(lambda request: 5), waiting_rate))
assert_type(ready.address()(object()), str)
assert_type(ready.read_networks("allow.txt"), Networks)


@traffik_django.throttled("5/s", of_django, "login", cost=2)
def view(request: HttpRequest, pk: int) -> HttpResponse:
    assert_type(of_django.sync.hit(request), HttpRequest)
    assert_type(of_django.sync.decide(request), Decision)
    of_django.sync.hit("request")  # type: ignore[arg-type]  # refused: text is no request
    assert_type(traffik_django.throttles["login"], Throttle[Any])
    return HttpResponse()


async def viewed(request: HttpRequest) -> None:
    assert_type(await of_django.hit(request), HttpRequest)
    assert_type(view(request, 3), HttpResponse)
    view(request, "3")  # type: ignore[arg-type]  # refused: a decorated view keeps its types


aio = traffik_aiohttp.HTTPThrottle("aio", "100/min")
aio_ws = traffik_aiohttp.WebSocketThrottle("aio-ws", "10/s")
aio_app = web.Application(middlewares=[traffik_aiohttp.throttling([aio, throttle])])
traffik_aiohttp.setup(aio_app, aio, backend=InMemoryBackend(), routes={"GET /": [aio, aio_ws], "home": throttle})


async def aiohttp_connection(request: web.Request) -> None:
    assert_type(await aio.hit(request), web.Request)
    connection = traffik_aiohttp.WebSocketConnection(request, web.WebSocketResponse())
    assert_type(await aio_ws.hit(connection), traffik_aiohttp.WebSocketConnection)
    assert_type(await connection.close_try_again(), bool)
    await aio_ws.hit(request)  # type: ignore[arg-type]  # refused: the WebSocket is missing


@traffik_aiohttp.throttled("5/s", aio)
async def aiohttp_handler(request: web.Request) -> web.Response:
    return web.json_response(str(request.app[traffik_aiohttp.BACKEND]))


@traffik_aiohttp.throttled(aio)
class AiohttpView(web.View):
    async def get(self) -> web.Response:
        return await aiohttp_handler(self.request)


assert_type(load_throttles("limits.toml"), dict[str, HTTPThrottle[Any] | WebSocketThrottle[Any]])


def watch() -> None:
    """Listeners, sync and async."""

    def listener(event: DecisionEvent) -> None:
        assert_type(event.outcome, str)
        assert_type(event.key, str | None)

    async def async_listener(event: DecisionEvent) -> None:
        pass

    with subscribe(listener, sample=0.5, limit="api:*", outcomes=["refused"]) as subscription:
        assert_type(subscription, Subscription)
        assert_type(subscription.flush(), bool)
    assert_type(subscribe(async_listener), Subscription)
    subscribe(EventLog())
    unsubscribe(listener)


async def hit_several(request: Request, one: Limiter) -> None:
    assert_type(await hit_all("ada", one, Hit(one, 2)), Decision)
    assert_type(await hit_all("ada", Hit(one, 2)), Decision)
    assert_type(await hit_all(request, Hit(throttle), one), Request)
    everything = AllOf(typed, one)
    await everything.hit(request)


of_asgi = traffik_asgi.HTTPThrottle("asgi", "100/min")


async def asgi_app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    assert_type(await of_asgi.hit(traffik_asgi.ASGIRequest(scope)), traffik_asgi.ASGIRequest)
    await of_asgi.hit(scope)  # type: ignore[arg-type]  # refused: a scope is no request
    await traffik_asgi.ASGIWebSocket(scope, receive, send).send({"type": "websocket.accept"})


@get("/")
async def litestar_endpoint(request: LitestarRequest[object, object, State]) -> str:
    await of_asgi.hit(traffik_asgi.ASGIRequest(request.scope))
    return "found"


litestar_app = traffik_asgi.ThrottleMiddleware(Litestar([litestar_endpoint]), load_throttles("limits.toml"))


class Templated(traffik_django.ThrottledMixin, TemplateView):
    throttles = "5/min"


of_wsgi = traffik_wsgi.HTTPThrottle("wsgi", "100/min")


def wsgi_view(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
    assert_type(of_wsgi.sync.hit(traffik_wsgi.WSGIRequest(environ)), traffik_wsgi.WSGIRequest)
    of_wsgi.sync.hit(environ)  # type: ignore[arg-type]  # refused: an environ is no request
    start_response("200 OK", [])
    return []


wsgi_app = traffik_wsgi.ThrottleMiddleware(traffik_wsgi.ThrottleMiddleware(wsgi_view), [of_wsgi, throttle])
