"""The aiohttp example works as described, over real connections."""

import json

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from examples.aiohttp_app import make_app
from tests.aiohttp_server import serve_aiohttp


@pytest.fixture
def address():
    with serve_aiohttp(make_app()) as address:
        yield address


@pytest.fixture
def client(address):
    with httpx.Client(base_url=f"http://{address}") as client:
        yield client


def test_everything_is_limited(client):
    answers = [client.get("/") for _ in range(41)]
    assert (answers[0].text, answers[0].headers["RateLimit-Policy"]) == ("hello", '"service";q=20;w=1')
    assert 429 in {answer.status_code for answer in answers}


def test_making_reports_is_expensive_and_reading_them_is_not(client):
    made, refused = [client.post("/reports") for _ in range(2)]
    assert (made.status_code, refused.status_code) == (201, 429)
    assert int(refused.headers["Retry-After"]) > 0
    assert client.get("/reports").json() == {"left": 1}


def test_sixty_messages_are_echoed_and_then_the_websocket_is_closed_with_a_message(address):
    with connect(f"ws://{address}/ws") as socket:
        assert [ask(socket, str(number)) for number in range(60)] == [f"Echo: {number}" for number in range(60)]
        told = json.loads(ask(socket, "one too many"))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
    assert (told["type"], told["retry_after"] >= 1) == ("rate_limit", True)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "Rate limit exceeded")


def ask(socket, message):
    socket.send(message)
    return socket.recv(timeout=5)
