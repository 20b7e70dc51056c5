"""The default identity: the address of the socket's peer, and no header."""

import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.callers import get
from tests.servers import serve
from traffik import ConfigurationError, HTTPThrottle

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]

FORWARDING = ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"]


@pytest.fixture
def app(uid):
    throttle = HTTPThrottle(uid, "1/min")

    async def endpoint(request):
        await throttle.hit(request)
        return PlainTextResponse("")

    async def tell(request, error):
        return PlainTextResponse(str(error), 500)

    return Starlette(routes=[Route("/", endpoint)], exception_handlers={ConfigurationError: tell})


async def from_peers(app, *peers):
    return [(await get(app, peer=peer)).status_code for peer in peers]


async def test_every_address_has_its_own_quota(app):
    assert await from_peers(app, "192.0.2.1", "192.0.2.2", "192.0.2.1") == [200, 200, 429]


@pytest.mark.parametrize("header", FORWARDING)
async def test_no_header_is_read(app, header):
    answers = [await get(app, headers={header: f"for=203.0.113.{number}"}) for number in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]


async def test_path_method_and_port_are_not_part_of_it(app):
    await get(app, "/")
    assert (await get(app, "/?other=1")).status_code == 429
    assert (await get(app, "//")).status_code in {404, 429}


async def test_a_network_of_ipv6_is_one_client(app):
    peers = ["2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:2::1", "2001:db8:0:2::2%eth0"]
    assert await from_peers(app, *peers) == [200, 429, 200, 429]


async def test_an_ipv4_address_in_ipv6_is_the_ipv4_address(app):
    assert await from_peers(app, "::ffff:192.0.2.1", "192.0.2.1", "::ffff:c000:202", "192.0.2.2") == [200, 429] * 2


@pytest.mark.parametrize("peer", [None, ""])
async def test_no_address_is_an_error_that_says_what_to_do(app, peer):
    answer = await get(app, peer=peer)
    assert answer.status_code == 500
    assert "no client address" in answer.text
    assert "give the throttle an identifier" in answer.text


def test_a_unix_socket_has_no_address(app, tmp_path):
    path = str(tmp_path / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    with serve(app, listener=listener, lifespan="off"), httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
        answer = client.get("http://service/")
    assert (answer.status_code, "give the throttle an identifier" in answer.text) == (500, True)


def test_clients_of_a_real_server_have_separate_quotas(app):
    with serve(app, lifespan="off") as address:
        assert [ask(address, f"127.0.0.{last}") for last in (1, 2, 1)] == [200, 200, 429]


def ask(address, own_address):
    transport = httpx.HTTPTransport(local_address=own_address)
    with httpx.Client(transport=transport) as client:
        return client.get(f"http://{address}/").status_code
