"""`answer_throttled`: refusals by endpoints and dependencies get the same response as those of the middleware."""

import json

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

import traffik
from tests.adapters.services import problem
from tests.callers import DENIAL, converse, get
from traffik import HTTPThrottle, WebSocketThrottle
from traffik_starlette import Throttled, ThrottleMiddleware, answer_throttled

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]

DEAR = "Too many requests. This one costs more than the limit of 0 can ever admit."


def app_of(throttle, caught=Throttled, **options):
    async def endpoint(connection):
        await throttle.hit(connection)
        return PlainTextResponse("in")

    routes = [Route("/", endpoint), WebSocketRoute("/ws", endpoint)]
    return Starlette(routes=routes, exception_handlers={caught: answer_throttled}, **options)


@pytest.mark.parametrize("caught", [Throttled, traffik.Throttled, 429])
async def test_a_refusal_is_problem_details(uid, caught):
    answer = await get(app_of(HTTPThrottle(uid, "0/min"), caught))
    assert (answer.status_code, answer.content) == (429, problem(DEAR, uid))
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_the_response_is_the_same_as_that_of_the_middleware(uid):
    throttle = HTTPThrottle(uid, "0/min")
    front = Starlette(middleware=[Middleware(ThrottleMiddleware, throttle)])
    for accept in ("*/*", "text/html", "application/json"):
        one, two = [await get(app, headers={"Accept": accept}) for app in (app_of(throttle), front)]
        assert (one.content, dict(one.headers)) == (two.content, dict(two.headers))


@pytest.mark.parametrize("kind", [HTTPThrottle, WebSocketThrottle])
async def test_a_denied_handshake_has_the_same_body(uid, kind):
    start, body = await converse(app_of(kind(uid, "0/min")), path="/ws", **DENIAL)
    assert (start["status"], json.loads(body["body"])["violated-policies"]) == (429, [uid])


async def test_a_websocket_is_closed_if_the_server_cannot_deny_it(uid):
    (close,) = await converse(app_of(WebSocketThrottle(uid, "0/min"), traffik.Throttled), path="/ws")
    assert (close["type"], close["code"]) == ("websocket.close", 1008)


async def test_a_refusal_raised_by_a_handler_in_the_middleware_gets_a_response(uid):
    async def again(connection, decision, throttle):
        raise Throttled(traffik.responses.rejections.reject(decision, throttle.policies(decision)))

    throttle = HTTPThrottle(uid, "0/min", handle_throttled=again)
    front = Starlette(middleware=[Middleware(ThrottleMiddleware, throttle)])
    assert (await get(front)).content == problem(DEAR, uid)


async def test_it_only_handles_refusals(uid):
    with pytest.raises(TypeError, match="not for HTTPException"):
        await answer_throttled(None, HTTPException(404))
