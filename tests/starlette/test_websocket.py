"""WebSockets: refusals are messages after the accept, and denials before it."""

import json
import logging
from contextlib import suppress

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.callers import DENIAL, converse
from tests.servers import serve
from traffik import FloodPolicy, HTTPThrottle, Throttled, WebSocketThrottle, is_throttled
from traffik.backends.inmemory import InMemoryBackend

TOLD = {"type": "rate_limit", "error": "Too many requests. Retry in 60 seconds.", "retry_after": 60}


ENDING = ("disconnect", "receive", "receive", "connect")
"""What a client does, the last first."""


def app_of(endpoint):
    return Starlette(routes=[WebSocketRoute("/", endpoint)])


def echo(throttle, cost=None):
    async def endpoint(websocket):
        await websocket.accept()
        async for text in websocket.iter_text():
            assert await throttle.hit(websocket, cost) is websocket
            if not is_throttled(websocket):
                await websocket.send_text(text)

    return app_of(endpoint)


def listening(throttle):
    async def endpoint(websocket):
        await websocket.accept()
        with suppress(WebSocketDisconnect):
            while await websocket.receive_text():
                await throttle.hit(websocket)

    return app_of(endpoint)


def door(throttle):
    async def endpoint(websocket):
        await throttle.hit(websocket)
        await websocket.accept()

    return app_of(endpoint)


def texts(messages):
    return [message["text"] for message in messages if message["type"] == "websocket.send"]


@pytest.mark.anyio
@pytest.mark.usefixtures("backend")
class TestAfterItsAccept:
    async def test_the_client_gets_a_message_and_the_connection_continues(self, uid):
        got = await converse(echo(WebSocketThrottle(uid, "1/min")), "one", "two", "three")
        assert [message["type"] for message in got] == ["websocket.accept"] + ["websocket.send"] * 3
        one, *told = texts(got)
        assert (one, list(map(json.loads, told))) == ("one", [TOLD, TOLD])

    async def test_a_cost_above_the_capacity_has_no_wait(self, uid):
        (told,) = texts(await converse(echo(WebSocketThrottle(uid, "1/min"), cost=2), "dear"))
        assert json.loads(told)["retry_after"] is None

    async def test_a_hit_after_the_client_has_gone_raises_nothing(self, uid):
        throttle = WebSocketThrottle(uid, "0/min")

        async def gone(message):
            if message["type"] == "websocket.send":
                raise OSError

        websocket = WebSocket(
            {"type": "websocket", "client": ("192.0.2.1", 1)}, lambda: asgi("websocket.connect"), gone
        )
        await websocket.accept()
        assert await throttle.hit(websocket) is websocket
        assert WebSocketState.CONNECTED is websocket.application_state  # so that the next `receive` reports it

    @pytest.mark.parametrize("floods", [None, FloodPolicy(pause=True), FloodPolicy(close_after=1)])
    async def test_a_client_that_leaves_ends_the_loop_without_an_error(self, uid, floods):
        throttle = WebSocketThrottle(uid, "0/min", floods=floods)
        incoming = [{"type": f"websocket.{kind}", "code": 1001, "text": "a"} for kind in ENDING]

        async def receive():
            return incoming.pop()

        async def send(message):
            if message["type"] != "websocket.accept":
                raise OSError

        scope = {"type": "websocket", "path": "/", "headers": [], "client": ("192.0.2.1", 1)}
        await listening(throttle)(scope, receive, send)
        assert incoming == []

    async def test_a_flood_is_closed_and_ends_the_endpoint(self, uid):
        got = await converse(
            listening(WebSocketThrottle(uid, "0/min", floods=FloodPolicy(close_after=2))), "a", "b", "c"
        )
        assert [message["type"] for message in got[1:]] == ["websocket.send"] * 2 + ["websocket.close"]
        assert (got[-1]["code"], got[-1]["reason"]) == (1008, "Rate limit exceeded")

    async def test_closing_after_the_client_has_gone_is_no_error(self, uid):
        throttle = WebSocketThrottle(uid, "0/min", floods=FloodPolicy(notify="once", close_after=2))
        incoming = [{"type": f"websocket.{kind}", "code": 1001, "text": "a"} for kind in ENDING]
        sent = []

        async def receive():
            return incoming.pop()

        async def send(message):
            sent.append(message["type"])
            if message["type"] == "websocket.close":
                raise OSError

        scope = {"type": "websocket", "path": "/", "headers": [], "client": ("192.0.2.1", 1)}
        await listening(throttle)(scope, receive, send)
        assert sent == ["websocket.accept", "websocket.send", "websocket.close"]

    async def test_nothing_is_sent_after_the_endpoint_has_closed_it(self, uid):
        throttle = WebSocketThrottle(uid, "0/min")

        async def endpoint(websocket):
            await websocket.accept()
            await websocket.close()
            await throttle.hit(websocket)

        got = await converse(app_of(endpoint))
        assert [message["type"] for message in got] == ["websocket.accept", "websocket.close"]

    async def test_sync_code_gets_an_error_since_it_cannot_send(self, uid):
        throttle, errors = WebSocketThrottle(uid, "0/min"), []

        async def endpoint(websocket):
            await websocket.accept()
            with pytest.raises(TypeError, match="the rejection of a WebSocket") as caught:
                throttle.sync.hit(websocket)
            errors.append(caught.value)

        await converse(app_of(endpoint))
        assert len(errors) == 1


@pytest.mark.anyio
@pytest.mark.usefixtures("backend")
class TestBeforeItsAccept:
    @pytest.mark.parametrize("kind", [WebSocketThrottle, HTTPThrottle])
    async def test_it_is_denied_with_a_status_if_the_server_supports_it(self, uid, kind):
        start, body = await converse(door(kind(uid, "0/min")), **DENIAL)
        assert (start["type"], start["status"]) == ("websocket.http.response.start", 429)
        assert f'"{uid}";q=0;w=60'.encode() == dict(start["headers"])[b"ratelimit-policy"]
        assert body["type"] == "websocket.http.response.body"

    async def test_it_is_closed_if_the_server_cannot_send_a_status(self, uid):
        (close,) = await converse(door(WebSocketThrottle(uid, "0/min")))
        assert (close["type"], close["code"]) == ("websocket.close", 1008)

    async def test_the_exception_that_closes_is_one_of_traffik(self, uid):
        throttle, caught = WebSocketThrottle(uid, "0/min"), []

        async def endpoint(websocket):
            try:
                await throttle.hit(websocket)
            except Throttled as error:
                caught.append(error.decision.allowed)

        await converse(app_of(endpoint))
        assert caught == [False]

    async def test_an_admitted_one_is_accepted(self, uid):
        assert [message["type"] for message in await converse(door(WebSocketThrottle(uid, "1/min")), **DENIAL)] == [
            "websocket.accept"
        ]


async def asgi(kind):
    return {"type": kind}


@pytest.mark.usefixtures("backend")
def test_a_server_answers_the_handshake_with_the_refusal(uid):
    app, throttle = FastAPI(), WebSocketThrottle(uid, "1/min")

    @app.websocket("/", dependencies=[Depends(throttle)])
    async def endpoint(websocket: WebSocket):
        await websocket.accept()

    with serve(app, lifespan="off") as address:
        with connect(f"ws://{address}"):
            pass
        with pytest.raises(InvalidStatus) as denied, connect(f"ws://{address}"):
            pass
    response = denied.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (429, "60")
    assert json.loads(response.body) == {"detail": "Too many requests. Retry in 60 seconds."}


def test_the_filter_of_the_guide_keeps_refusals_out_of_uvicorns_log(uid, caplog):
    log = logging.getLogger("uvicorn.error")
    store = InMemoryBackend()

    def is_no_refusal(record):
        return "returned without completing handshake" not in record.getMessage()

    log.addFilter(is_no_refusal)
    try:
        app = door(WebSocketThrottle(uid, "0/min", backend=store))
        with serve(app, log_config=None) as address, pytest.raises(InvalidStatus, match="429"):
            connect(f"ws://{address}/")
    finally:
        log.removeFilter(is_no_refusal)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
