"""Who may read the live page, and who may act on it."""

import pytest

from traffik import ConfigurationError
from traffik.live.access import Access
from traffik.live.messages import LiveRequest
from traffik.model.coroutines import run_sync

READ, ACT = "the token of readers", "the token of operators"


def permission(access, native=None, **headers):
    request = LiveRequest("GET", "/", headers, native=native)
    return run_sync(access.grant(request, wait=None)).permission


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, ConfigurationError),
        ({"token": "short"}, ConfigurationError),
        ({"token": b"bytes that are long"}, ConfigurationError),
        ({"token": READ, "act_token": READ}, ConfigurationError),
        ({"authorize": "read"}, TypeError),
    ],
)
def test_a_page_that_is_open_or_badly_locked_is_not_made(options, error):
    with pytest.raises(error):
        Access(**{"token": None, "act_token": None, "authorize": None} | options)


def test_a_token_gives_its_permission():
    access = Access(READ, ACT, None)
    found = [permission(access, authorization=f"bearer {token}") for token in (READ, ACT, READ[:-1], "")]
    assert found == ["read", "act", None, None]
    assert permission(access, authorization=f"Basic {READ}") is None


def test_a_session_is_not_the_token():
    access = Access(READ, None, None)
    session = access.session_for(READ)
    assert READ not in session
    assert permission(access, cookie=f"traffik_live={session}") == "read"
    assert [permission(access, cookie=f"traffik_live={READ}"), access.session_for(ACT)] == [None, None]


def test_the_application_is_asked_without_a_token():
    access = Access(READ, None, lambda native: native)
    assert [permission(access, native=each) for each in ("act", "read", None)] == ["act", "read", None]
    with pytest.raises(TypeError, match="not True"):
        permission(access, native=True)


CSRF = {"cookie": "traffik_live_csrf=value", "x-traffik-csrf": "value", "host": "shop.example"}


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        (CSRF, True),
        ({"authorization": "Bearer x"}, True),
        (CSRF | {"origin": "https://shop.example", "sec-fetch-site": "same-origin"}, True),
        (CSRF | {"origin": "https://evil.example"}, False),
        (CSRF | {"origin": "null"}, False),
        (CSRF | {"sec-fetch-site": "same-site"}, False),
        (CSRF | {"origin": "https://shop.example", "host": "10.0.0.1:8000", "sec-fetch-site": "same-origin"}, True),
        (CSRF | {"x-traffik-csrf": "other"}, False),
        ({"x-traffik-csrf": ""}, False),
        ({}, False),
    ],
)
def test_only_the_page_itself_changes_something(headers, own):
    assert Access(READ, None, None).is_own_request(LiveRequest("POST", "/actions", headers)) is own


def test_cookies_stay_with_the_page():
    _, (field,) = Access(READ, None, None).csrf_of(LiveRequest("GET", "/", secure=True))
    assert field[1].endswith("; HttpOnly; SameSite=Strict; Secure")


@pytest.mark.parametrize(
    ("answer", "grant"),
    [("act", ("act", "")), (("act", "ada"), ("act", "ada")), ((None, "ada"), (None, "ada")), (None, (None, ""))],
)
def test_the_application_may_say_who_it_is(answer, grant):
    access = Access(None, None, lambda request: answer)
    assert run_sync(access.grant(LiveRequest("GET", "/", {}), None)) == grant


@pytest.mark.parametrize("answer", [True, "write", ("act", 7), ("act",), ("act", "ada", "eve")])
def test_an_application_that_says_something_else_is_an_error(answer):
    access = Access(None, None, lambda request: answer)
    with pytest.raises(TypeError, match="authorize returns None, 'read' or 'act', or one of these and a name"):
        run_sync(access.grant(LiveRequest("GET", "/", {}), None))


@pytest.mark.parametrize("cookies", ["", "a=b", "a[=b; \x00=c"])
def test_a_cookie_that_is_missing_or_broken_is_empty(cookies):
    assert LiveRequest("GET", "/", {"cookie": cookies}).cookie("session") == ""
