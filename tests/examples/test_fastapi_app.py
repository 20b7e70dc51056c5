"""The FastAPI example works as described, over real connections."""

import json

import httpx
import pytest
from websockets.sync.client import connect

from examples.fastapi_app import app
from tests.servers import serve

ADA, BOB = {"X-API-Key": "ada-key"}, {"X-API-Key": "bob-key"}


@pytest.fixture(scope="module")
def address():
    with serve(app) as address:
        yield address


@pytest.fixture
def client(address):
    with httpx.Client(base_url=f"http://{address}") as client:
        yield client


def test_quotes_are_limited_by_key(client):
    answers = [client.get("/quotes", headers=ADA) for _ in range(12)]
    assert (answers[0].status_code, answers[0].headers["RateLimit-Policy"]) == (200, '"quotes";q=10;w=2')
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 3
    assert client.get("/quotes", headers=BOB).status_code == 200


def test_status_shows_the_quota_left_and_consumes_nothing(client):
    one, two = [client.get("/status", headers={"X-API-Key": "eve-key"}).json() for _ in range(2)]
    assert one == two == {"rate": "10/2s", "remaining": 10, "wait_ms": 0}


def test_a_client_without_a_key_is_rejected(client):
    assert [client.get(path).status_code for path in ("/quotes", "/status")] == [401, 401]


def test_imports_are_charged_by_number(client):
    batches = [600, 600, 400, 0, 1001]
    answers = [client.post("/imports", json=["quote"] * size, headers=ADA).status_code for size in batches]
    assert answers == [200, 429, 200, 200, 429]


def test_a_search_has_two_limits(client):
    answers = [client.get("/search", params={"word": "HASTE"}) for _ in range(7)]
    assert answers[0].json() == ["Less haste, more speed."]
    assert [policy.split(";", 1)[1] for policy in answers[0].headers["RateLimit-Policy"].split(", ")] == [
        "q=5;w=1",
        "q=1000;w=3600",
    ]
    assert answers[-1].status_code == 429


def test_documentation_has_the_limits_and_no_parameters(client):
    search = client.get("/openapi.json").json()["paths"]["/search"]["get"]
    assert [parameter["name"] for parameter in search["parameters"]] == ["word"]
    assert list(search["responses"]["429"]["content"]) == ["application/problem+json"]


def test_a_refusal_is_a_problem(client):
    refused = client.post("/imports", json=["quote"] * 1001, headers=ADA)
    assert (refused.status_code, refused.json()["violated-policies"]) == (429, ["imports"])


def test_a_websocket_with_many_messages_gets_a_message(address):
    with connect(f"ws://{address}/echo") as socket:
        for number in range(6):
            socket.send(str(number))
        *echoed, told = [socket.recv(timeout=5) for _ in range(6)]
    assert (echoed, json.loads(told)["type"]) == (["0", "1", "2", "3", "4"], "rate_limit")
