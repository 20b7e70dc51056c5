"""Users in a real database have one quota at any address, and the identifier makes no extra query."""

import asyncio

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext, setup_databases, teardown_databases
from django.urls import path

from traffik_django import HTTPThrottle, identities

pytestmark = pytest.mark.usefixtures("backend")

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "traffik_django.middleware.ThrottleMiddleware",
]


@pytest.fixture(scope="module")
def ada():
    before = setup_databases(0, interactive=False)
    yield User.objects.create_user("ada")
    teardown_databases(before, 0)


@pytest.fixture
def throttle(uid, serve_urls):
    throttle = HTTPThrottle(uid, "2/min", identifier=identities.user)

    def hit(request):
        throttle.sync.hit(request)
        return HttpResponse(request.user.username)

    async def ahit(request):
        await throttle.hit(request)
        return HttpResponse((await request.auser()).username)

    serve_urls(
        path("s", hit), path("a", ahit), path("n", lambda r: HttpResponse(r.user.username)), middleware=MIDDLEWARE
    )
    return throttle


def test_a_user_has_one_quota_at_any_address(ada, throttle, client):
    client.force_login(ada)
    answers = [client.get("/s", REMOTE_ADDR=f"203.0.113.{host}") for host in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].text == "ada"


def test_in_async_code_a_user_has_one_quota_at_any_address(ada, throttle, async_client):
    async def ask():
        await async_client.aforce_login(ada)
        return [(await async_client.get("/a")).status_code for _ in range(3)]

    assert asyncio.run(ask()) == [200, 200, 429]


def test_the_identifier_makes_no_extra_query(ada, throttle, client):
    client.force_login(ada)
    counts = []
    for where in ("/n", "/s"):
        with CaptureQueriesContext(connection) as queries:
            client.get(where)
        counts.append(len(queries))
    assert counts[0] == counts[1] > 0
