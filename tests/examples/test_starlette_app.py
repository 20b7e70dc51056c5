"""The Starlette example works as described, over real connections."""

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from examples.starlette_app import app
from tests.servers import serve


@pytest.fixture(scope="module")
def address():
    with serve(app) as address:
        yield address


@pytest.fixture
def client(address):
    with httpx.Client(base_url=f"http://{address}") as client:
        yield client


def test_everything_is_limited(client):
    answers = [client.get("/") for _ in range(21)]
    assert (answers[0].text, answers[0].headers["RateLimit-Policy"]) == ("hello", '"everything";q=20;w=1')
    assert answers[-1].status_code == 429


def test_hits_of_a_sync_endpoint_count(client, patient):
    assert patient(client.get, "/api/add?n=1&n=2").text == "3"


def test_making_reports_is_expensive_and_reading_them_is_not(client, patient):
    made, refused = [patient(client.post, "/api/reports") for _ in range(2)]
    assert (made.status_code, refused.status_code) == (201, 429)
    assert (refused.text, int(refused.headers["Retry-After"]) > 0) == ("Slow down, please.", True)
    assert patient(client.get, "/api/reports").json() == {"left": 1}


def test_the_third_websocket_is_denied(address):
    for _ in range(2):
        with connect(f"ws://{address}/tick") as socket:
            assert socket.recv(timeout=5) == "tick"
    with pytest.raises(InvalidStatus) as denied, connect(f"ws://{address}/tick"):
        pass
    assert denied.value.response.status_code == 429


@pytest.fixture
def patient():
    """Sends a request after the quota for all requests is whole again."""

    def ask(method, path):
        from examples.starlette_app import backend, everything

        backend.reset_sync(everything.uid)
        return method(path)

    return ask
