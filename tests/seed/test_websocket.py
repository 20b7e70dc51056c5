"""`is_throttled(websocket)`: every message counts, and the flag is that of the last hit."""

import json

import pytest
from fastapi import FastAPI, WebSocket
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.servers import serve
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock
from traffik.throttles import WebSocketThrottle, is_throttled

clock = VirtualClock()
backend = InMemoryBackend(clock=clock)
app = FastAPI(lifespan=backend.lifespan)
ws_throttle = WebSocketThrottle(uid="ws:messages", rate="60/min")


@app.websocket("/strict")
async def strict(websocket: WebSocket):
    await websocket.accept()
    while True:
        message = await websocket.receive_text()
        await ws_throttle.hit(websocket)
        if is_throttled(websocket):
            await websocket.close(code=1008, reason="Rate limit exceeded")
            return
        await websocket.send_text(f"Echo: {message}")


@app.websocket("/lenient")
async def lenient(websocket: WebSocket):
    await websocket.accept()
    async for message in websocket.iter_text():
        await ws_throttle.hit(websocket)
        if not is_throttled(websocket):
            await websocket.send_text(f"Echo: {message}")


@pytest.fixture
def address():
    with serve(app) as address:
        yield f"ws://{address}"


def ask(socket, message):
    socket.send(message)
    return socket.recv(timeout=5)


def test_sixty_messages_are_echoed_and_then_the_client_gets_a_message(address):
    with connect(f"{address}/strict") as socket:
        assert [f"Echo: {number}" for number in range(60)] == [ask(socket, str(number)) for number in range(60)]
        told = json.loads(ask(socket, "one too many"))
    wait = told["retry_after"]
    assert {"type": "rate_limit", "error": f"Too many requests. Retry in {wait} seconds.", "retry_after": wait} == told


def test_an_endpoint_may_close_a_throttled_websocket(address):
    with connect(f"{address}/strict") as socket:
        [ask(socket, "") for _ in range(61)]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "Rate limit exceeded")


def test_a_hit_neither_raises_nor_closes_and_is_throttled_is_about_the_last_one(address):
    with connect(f"{address}/lenient") as socket:
        *_, told = [json.loads(ask(socket, "").removeprefix("Echo: ") or "{}") for _ in range(61)]
        clock.advance(seconds=told["retry_after"])
        assert ask(socket, "again") == "Echo: again"


def test_the_quota_outlives_the_connection(address):
    with connect(f"{address}/lenient") as socket:
        [ask(socket, "") for _ in range(60)]
    with connect(f"{address}/lenient") as socket:
        assert json.loads(ask(socket, "hello again"))["type"] == "rate_limit"
