"""The identifier for users of Starlette's authentication middleware."""

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.callers import get
from traffik_starlette import HTTPThrottle, ThrottleMiddleware
from traffik_starlette.identities import user

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


class Member(BaseUser):
    is_authenticated = True
    display_name = "Ada"
    identity = 7


class ByName(AuthenticationBackend):
    """Authenticates a client by the name in its request, without a check."""

    async def authenticate(self, conn):
        name = conn.headers.get("x-name")
        if name is not None:
            return AuthCredentials(), Member() if name == "member" else SimpleUser(name)
        return None


@pytest.fixture
def throttle(uid):
    return HTTPThrottle(uid, "100/min", identifier=user)


@pytest.fixture
def app(throttle):
    async def endpoint(request):
        stat = await throttle.stat(request)
        return PlainTextResponse(stat.key.partition("{")[2][:-1])

    return Starlette(
        routes=[Route("/", endpoint)],
        middleware=[Middleware(AuthenticationMiddleware, ByName()), Middleware(ThrottleMiddleware, throttle)],
    )


@pytest.mark.parametrize(("name", "expected"), [("member", "user:7"), ("ada", "user:ada"), (None, "192.0.2.1")])
async def test_it_is_the_user_that_the_middleware_has_found(app, name, expected):
    headers = {} if name is None else {"X-Name": name}
    assert (await get(app, peer="192.0.2.1", headers=headers)).text == expected


async def test_without_the_middleware_the_address_is_used(throttle):
    async def endpoint(request):
        return PlainTextResponse((await throttle.stat(request)).key.partition("{")[2][:-1])

    assert (await get(Starlette(routes=[Route("/", endpoint)]), peer="192.0.2.1")).text == "192.0.2.1"
