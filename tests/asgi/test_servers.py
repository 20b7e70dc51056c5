"""Litestar and Quart with throttles, on Hypercorn. (All other tests run on uvicorn.)"""

from __future__ import annotations

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.servers import serve_by


@pytest.fixture(params=["litestar", "quart"], scope="module")
def served(request):
    """The name of a framework, and the address of its application."""
    with serve_by(["hypercorn", f"tests.asgi.served:{request.param}_app", "-b", "127.0.0.1:{port}"]) as address:
        yield request.param, address


def status_of(url):
    with pytest.raises(InvalidStatus) as denied, connect(url):
        pass
    return denied.value.response.status_code


def test_requests_are_limited(served):
    first, second = [httpx.get(f"http://{served[1]}/") for _ in range(2)]
    assert (first.text, first.headers["ratelimit"]) == ("hello", '"requests";r=0;t=60')
    assert (second.status_code, second.headers["retry-after"]) == (429, "60")


def test_a_websocket_is_closed_for_a_flood_and_the_next_one_denied(served):
    url = f"ws://{served[1]}/echo"
    with connect(url) as socket:
        socket.send("one")
        socket.send("two")
        socket.send("three")
        assert socket.recv(timeout=5) == "one"
        assert "rate_limit" in socket.recv(timeout=5)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
    assert closed.value.rcvd.code == 1008
    assert status_of(url) == 429


def test_a_refusal_in_an_endpoint_is_answered_as_the_framework_lets_it(served):
    framework, address = served
    assert status_of(f"ws://{address}/inside") == {"litestar": 403, "quart": 429}[framework]
