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
    """A session store with one existing session."""

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
    """Calls an identifier in sync or async code; the identity."""

    async def wait(identifier, connection):
        answer = identifier(connection)
        return answer if isinstance(answer, str) else await answer

    if request.param == "sync":
        return lambda identifier, connection: identifier(connection)
    return lambda identifier, connection: asyncio.run(wait(identifier, connection))


@pytest.mark.parametrize("name", ["user", "user_or_ip"])
def test_a_user_has_one_identity_at_any_address(identity, name):
    assert identity(identities.named(name), request_of(User())) == "user:42"


def test_a_client_that_is_not_logged_in_is_identified_by_address(identity):
    assert identity(identities.user, request_of(AnonymousUser())) == IP


def test_an_existing_session_is_the_identity(identity):
    assert identity(identities.session, request_of(session="k-1")) == f"session:{digest('k-1')}"


@pytest.mark.parametrize("key", ["made up", None])
def test_an_unknown_session_is_replaced_by_the_address(identity, key):
    assert identity(identities.session, request_of(session=key)) == IP


def test_a_forged_signed_session_is_replaced_by_the_address(identity):
    request = request_of()
    request.session = SessionStore("made up")
    assert identity(identities.session, request) == IP


def test_a_signed_session_is_the_identity(identity):
    request, session = request_of(), SessionStore()
    session["cart"] = 5
    request.session = SessionStore(session.session_key or session._get_session_key())
    assert identity(identities.session, request).startswith("session:")


def test_an_anonymous_user_of_django_needs_no_query(identity):
    request = request_of()
    request.session = SessionStore()
    AuthenticationMiddleware(lambda _: None).process_request(request)
    assert identity(identities.user, request) == IP


def test_a_header_of_the_proxy_is_used_unchanged():
    assert identities.named("header:X-Tenant")(request_of(**{"X-Tenant": "a"})) == "header:x-tenant:a"
    assert identities.named("header:X-Tenant")(request_of()) == IP


def test_ipv6_addresses_are_grouped_by_network():
    assert identities.ip(request_of(peer="2001:db8::1")) == "2001:db8::/64"


def test_a_missing_address_is_an_error():
    with pytest.raises(ConfigurationError, match="no client address"):
        identities.ip(request_of(peer=""))


@pytest.mark.parametrize("name", ["nobody", "header:", "get:q"])
def test_an_unknown_name_is_an_error(name):
    with pytest.raises(ValueError, match="there are ip, session, user, user_or_ip and header:NAME"):
        identities.named(name)
