"""The client's address behind real proxies: uvicorn behind chains of them, over TCP and over a Unix socket."""

from __future__ import annotations

import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests import forwarders
from tests.servers import serve
from traffik import HTTPThrottle, notices, trust_proxies
from traffik.backends.inmemory import InMemoryBackend

CLIENT = "127.0.0.77"
FORGED = [
    ("X-Forwarded-For", "198.51.100.1, 127.0.0.11"),
    ("X-Forwarded-For", "198.51.100.2"),
    ("X-Real-IP", "8.8.8.8"),
]
KINDS = ["threads", *(["nginx"] if forwarders.NGINX else [])]


@pytest.fixture(scope="module")
def application():
    """An application that returns the identity of its client."""
    store = InMemoryBackend()
    throttle = HTTPThrottle("proxies", "1000/min", backend=store)

    async def endpoint(request: Request) -> PlainTextResponse:
        stat = await throttle.stat(request)
        return PlainTextResponse(stat.key.partition("{")[2][:-1])

    return Starlette(routes=[Route("/", endpoint)], lifespan=store.lifespan)


@pytest.fixture(scope="module")
def upstream(application):
    with serve(application, proxy_headers=False) as address:
        yield address


@pytest.fixture(scope="module", params=KINDS)
def chain(request, upstream, tmp_path_factory):
    """The address of the first of three proxies."""
    if request.param == "nginx":
        with forwarders.nginx(upstream, 3, tmp_path_factory.mktemp("nginx")) as address:
            yield address
    else:
        with forwarders.threaded(upstream, 3) as address:
            yield address


def ask(address, headers=(), client=CLIENT):
    """Send a request from this address with these headers; the identity."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=client)) as session:
        answer = session.get(f"http://{address}/", headers=[*headers])
    assert answer.status_code == 200, answer.text
    return answer.text


PROXIES = [forwarders.address(place) for place in range(3)]


@pytest.mark.parametrize("headers", [[], FORGED], ids=["honest", "forged"])
class TestAClientBehindAChain:
    @pytest.mark.parametrize("trusted", [PROXIES, 3], ids=["networks", "count"])
    def test_it_has_the_address_that_the_outermost_trusted_proxy_saw(self, chain, headers, trusted):
        trust_proxies(trusted)
        assert ask(chain, headers) == CLIENT

    @pytest.mark.parametrize("trusted", [PROXIES[1:], 2], ids=["networks", "count"])
    def test_it_is_the_outermost_proxy_if_that_is_not_trusted(self, chain, headers, trusted):
        trust_proxies(trusted)
        assert ask(chain, headers) == PROXIES[0]

    def test_it_is_the_innermost_proxy_if_none_is_trusted(self, chain, headers):
        assert ask(chain, headers) == PROXIES[2]

    def test_without_the_chain_it_cannot_choose_its_address(self, upstream, headers):
        trust_proxies(PROXIES)
        assert ask(upstream, headers) == CLIENT


def test_forwarded_gives_the_same_address(upstream):
    trust_proxies(PROXIES, header="Forwarded")
    with forwarders.threaded(upstream, 3) as address:
        assert ask(address, [("Forwarded", 'for=198.51.100.1;host="'), ("Forwarded", "for=127.0.0.11")]) == CLIENT


def test_a_header_with_one_address_is_trusted_from_every_proxy(chain, request):
    trust_proxies(PROXIES, header="X-Real-IP")
    # Each nginx sets it, so the last one names the proxy before it. The simple proxies do not change it.
    expected = PROXIES[1] if "nginx" in request.node.name else "8.8.8.8"
    assert ask(chain, FORGED) == expected


def test_a_server_that_trusts_proxies_itself_is_enough(application):
    own = {"proxy_headers": True, "forwarded_allow_ips": ",".join(PROXIES)}
    with serve(application, **own) as upstream, forwarders.threaded(upstream, 3) as address:
        assert ask(address, FORGED) == CLIENT
        assert notices.said() == ()
        trust_proxies(PROXIES)
        assert ask(address, FORGED) == CLIENT


def test_plain_uvicorn_lets_a_client_choose_its_address_which_is_reported(application):
    with serve(application) as upstream:
        assert ask(upstream, [("X-Forwarded-For", "198.51.100.9")], client="127.0.0.1") == "198.51.100.9"
    (notice,) = notices.said()
    assert notice.id == "server-trusts-proxies"
    assert "uvicorn --no-proxy-headers" in notice.sentence


class TestOnAUnixSocket:
    @pytest.fixture
    def over_unix(self, application, tmp_path):
        """Sends requests on a Unix socket, as a proxy in front would."""
        path = str(tmp_path / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            with (
                serve(application, listener=listener, proxy_headers=False),
                httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client,
            ):
                yield lambda *headers: client.get("http://localhost/", headers=[*headers])

    def test_the_client_is_the_address_from_the_proxy(self, over_unix):
        trust_proxies(1)
        assert over_unix(*FORGED, ("X-Forwarded-For", CLIENT)).text == CLIENT

    @pytest.mark.parametrize("trusted", [None, PROXIES, 1])
    def test_without_an_address_it_is_an_error(self, over_unix, trusted):
        if trusted is not None:
            trust_proxies(trusted)
        assert over_unix().status_code == 500
