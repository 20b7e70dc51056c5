"""The identifiers for Django: peers, users, sessions and keys, in sync and async code."""

import asyncio

import pytest
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.test import RequestFactory

from traffik import ConfigurationError
from traffik.identities import digest
from traffik_django import identities

IP = "203.0.113.7"


class User:
    is_authenticated = True
    pk = 42


class Session:
    """Of two keys that a client may send, one is known."""

    known = "k-1"

    def __init__(self, key):
        self.session_key = key

    def keys(self):
        self.session_key = self.session_key if self.session_key == self.known else None
        return ["cart"] if self.session_key else []

    async def akeys(self):
        return self.keys()


def request_of(user=None, session=None, peer=IP, **headers):
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)
    if user is not None:
        request.user = user

        async def auser():
            return user

        request.auser = auser
    request.session = Session(session)
    return request


@pytest.fixture(params=["sync", "async"])
def identity(request):
    """What an identifier answers, in sync code and in async code."""

    async def wait(identifier, connection):
        answer = identifier(connection)
        return answer if isinstance(answer, str) else await answer

    if request.param == "sync":
        return lambda identifier, connection: identifier(connection)
    return lambda identifier, connection: asyncio.run(wait(identifier, connection))


@pytest.mark.parametrize("name", ["user", "user_or_ip"])
def test_a_user_has_one_identity_at_any_address(identity, name):
    assert identity(identities.named(name), request_of(User())) == "user:42"


def test_a_client_that_is_not_logged_in_is_an_address(identity):
    assert identity(identities.user, request_of(AnonymousUser())) == IP


def test_a_session_that_exists_is_an_identity(identity):
    assert identity(identities.session, request_of(session="k-1")) == f"session:{digest('k-1')}"


@pytest.mark.parametrize("key", ["made up", None])
def test_a_session_that_does_not_is_an_address(identity, key):
    assert identity(identities.session, request_of(session=key)) == IP


def test_a_made_up_signed_session_is_an_address_too(identity):
    request = request_of()
    request.session = SessionStore("made up")
    assert identity(identities.session, request) == IP


def test_a_signed_session_is_an_identity(identity):
    request, session = request_of(), SessionStore()
    session["cart"] = 5
    request.session = SessionStore(session.session_key or session._get_session_key())
    assert identity(identities.session, request).startswith("session:")


def test_an_anonymous_user_of_django_needs_no_query(identity):
    request = request_of()
    request.session = SessionStore()
    AuthenticationMiddleware(lambda _: None).process_request(request)
    assert identity(identities.user, request) == IP


def test_a_header_of_the_proxy_is_used_as_it_is():
    assert identities.named("header:X-Tenant")(request_of(**{"X-Tenant": "a"})) == "header:x-tenant:a"
    assert identities.named("header:X-Tenant")(request_of()) == IP


def test_an_address_is_grouped_as_usual():
    assert identities.ip(request_of(peer="2001:db8::1")) == "2001:db8::/64"


def test_no_address_is_an_error():
    with pytest.raises(ConfigurationError, match="no client address"):
        identities.ip(request_of(peer=""))


@pytest.mark.parametrize("name", ["nobody", "header:", "get:q"])
def test_another_name_is_an_error(name):
    with pytest.raises(ValueError, match="there are ip, session, user, user_or_ip and header:NAME"):
        identities.named(name)
