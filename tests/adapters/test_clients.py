"""The client's identity in every framework: trusted proxies and identifiers work in the same way."""

import json

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.adapters.services import Call, Socket
from traffik import HTTPThrottle, WebSocketThrottle, identities, notices, trust_proxies

LOOPBACK = ["127.0.0.0/8"]
DETAIL = "This client is not served."


@pytest.fixture
def one(uid):
    return HTTPThrottle(uid, "100/min")


@pytest.fixture
def counted_in(served, one):
    """The key of a request with these headers."""
    client = served(Call("hit", one), Call("stat", one))
    return lambda *headers: client.get("/", headers=[*headers]).json()[1]["key"].partition("{")[2][:-1]


def test_the_client_is_the_address_from_a_trusted_proxy(counted_in):
    trust_proxies(LOOPBACK)
    assert counted_in(("X-Forwarded-For", "198.51.100.9, 192.0.2.1, 127.0.0.2")) == "192.0.2.1"
    assert counted_in(("X-Forwarded-For", "198.51.100.9"), ("X-Forwarded-For", "192.0.2.1")) == "192.0.2.1"
    assert counted_in(("X-Forwarded-For", "2001:db8:1:2::3")) == "2001:db8:1:2::/64"
    assert counted_in(("Forwarded", "for=192.0.2.1"), ("X-Real-IP", "192.0.2.1")) == "127.0.0.1"


def test_a_trusted_proxy_may_send_the_client_in_another_header(counted_in):
    trust_proxies(1, header="Forwarded", ipv6_prefix=48)
    elements = 'for=192.0.2.9;host="a,b", for="[2001:db8:1:2::3]:4711"'
    assert counted_in(("Forwarded", elements), ("X-Forwarded-For", "192.0.2.1")) == "2001:db8:1::/48"


def test_a_proxy_that_is_not_trusted_is_the_client(counted_in):
    trust_proxies(["10.0.0.0/8"])
    assert counted_in(("X-Forwarded-For", "192.0.2.1")) == "127.0.0.1"


def test_a_header_with_an_underscore_in_its_name_is_not_read(framework, counted_in):
    trust_proxies(LOOPBACK)
    # The server of the standard library takes them for one, as the guide warns.
    expected = "192.0.2.1" if framework.tells_names_apart else "198.51.100.9"
    assert counted_in(("X-Forwarded-For", "192.0.2.1"), ("X_Forwarded_For", "198.51.100.9")) == expected


def test_a_header_of_an_untrusted_proxy_is_reported(counted_in):
    assert counted_in(("X-Forwarded-For", "192.0.2.1")) == "127.0.0.1"
    assert [notice.id for notice in notices.said()] == ["untrusted-proxy"]


def test_identifiers_work_in_every_framework(served, uid):
    identifier = identities.first_of(
        identities.api_key("X-API-Key", {"k-1"}),
        identities.bearer({"t-1": 42}.get),
        identities.cookie("sid", {"s-1"}),
    )
    throttle = HTTPThrottle(uid, "100/min", identifier=identifier)
    client = served(Call("stat", throttle))
    headers = [{"X-API-Key": "k-1"}, {"Authorization": "Bearer t-1"}, {"Cookie": "a=b; sid=s-1"}, {"X-API-Key": "k-2"}]
    keys = [client.get("/", headers=each).json()[0]["key"].partition("{")[2][:-1] for each in headers]
    digests = [identities.digest(secret) for secret in ("k-1", "s-1")]
    assert keys == [f"key:x-api-key:{digests[0]}", "bearer:42", f"cookie:sid:{digests[1]}", "127.0.0.1"]


class TestADeniedClient:
    def test_it_gets_status_403(self, served, uid, store):
        throttle = HTTPThrottle(uid, "100/min", identifier=identities.deny(LOOPBACK))
        answer = served(Call("hit", throttle)).get("/")
        assert (answer.status_code, DETAIL in answer.text) == (403, True)
        assert {"Retry-After", "RateLimit", "RateLimit-Policy"}.isdisjoint(answer.headers)
        assert store.keys == 0

    def test_a_middleware_refuses_it(self, served, uid):
        answer = served(guards=[HTTPThrottle(uid, "100/min", identifier=identities.deny(LOOPBACK))]).get("/")
        assert (answer.status_code, answer.json()["detail"]) == (403, DETAIL)

    def test_it_cannot_open_a_websocket(self, framework, served, uid):
        if not framework.websockets:
            pytest.skip("this framework has no WebSockets")
        door = WebSocketThrottle(uid, "100/min", identifier=identities.deny(LOOPBACK))
        client = served(sockets={"/ws": Socket(door=[Call("hit", door)])})
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://{client.base_url.netloc.decode()}/ws")
        assert refused.value.response.status_code == 403
        assert DETAIL in refused.value.response.body.decode()


def test_a_websocket_has_the_same_client(framework, served, uid):
    if not framework.websockets:
        pytest.skip("this framework has no WebSockets")
    trust_proxies(LOOPBACK)
    throttle = WebSocketThrottle(uid, "1/min")
    client = served(sockets={"/ws": Socket(message=[Call("hit", throttle)])})
    told = [say(client, address) for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2")]
    assert told == ["hello", {"type": "rate_limit"}, "hello"]


def say(client, address):
    """Send a message on a new WebSocket of this client; the reply."""
    headers = {"X-Forwarded-For": address}
    with connect(f"ws://{client.base_url.netloc.decode()}/ws", additional_headers=headers) as socket:
        socket.send("hello")
        answer = socket.recv(timeout=5)
    return {"type": json.loads(answer)["type"]} if answer.startswith("{") else answer
