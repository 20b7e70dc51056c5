"""The middleware of WSGI, called as a server calls it; wsgiref checks that both sides follow the standard."""

from __future__ import annotations

from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from traffik import Rule, Throttled, WebSocketThrottle
from traffik.responses.rejections import Reply
from traffik_wsgi import HTTPThrottle, ThrottleMiddleware, WSGIRequest, reply_to

PREFLIGHT = {
    "REQUEST_METHOD": "OPTIONS",
    "HTTP_ORIGIN": "https://a.example",
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT",
}


@pytest.fixture
def one(store):
    """A throttle of one hit a minute."""
    return HTTPThrottle("one", "1/min", backend=store)


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def hitting(*throttles):
    def view(environ, start_response):
        for throttle in throttles:
            throttle.sync.hit(WSGIRequest(environ))
        return hello(environ, start_response)

    return view


def ask(app, **environ):
    """The status, the headers and the body of the response."""
    environ = {"REMOTE_ADDR": "192.0.2.1", "PATH_INFO": "/", "SCRIPT_NAME": "", "QUERY_STRING": "", **environ}
    setup_testing_defaults(environ)
    started = []

    def start_response(status, fields, error=None):
        assert not started or error, "only an error may start a response again"
        started.append((int(status[:3]), dict(fields)))
        assert len(started[-1][1]) == len(fields), "a field is there twice"
        return print

    body = validator(app)(environ, start_response)
    content = b"".join(body)
    body.close()
    return *started[-1], content


def statuses(app, times=2, **environ):
    return [ask(app, **environ)[0] for _ in range(times)]


def test_a_refusal_in_the_middleware_or_in_the_application_is_answered_alike(one, store):
    outside = [ask(ThrottleMiddleware(hello, one)) for _ in range(2)]
    store.reset_sync()
    inside = [ask(ThrottleMiddleware(hitting(one))) for _ in range(2)]
    assert outside == inside
    assert [outside[1][0], outside[1][1]["Retry-After"], outside[1][1]["RateLimit"]] == [429, "60", '"one";r=0;t=60']


def test_a_request_is_counted_once_and_has_one_set_of_headers(one):
    app = ThrottleMiddleware(ThrottleMiddleware(hello, one), one)
    (status, fields, _), refused = ask(app), ask(app)
    assert (status, fields["ratelimit"], refused[0]) == (200, '"one";r=0;t=60', 429)


def test_a_refusal_after_the_start_of_the_response_replaces_it(one):
    def late(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return hitting(one, one)(environ, start_response)

    def application(environ, start_response):
        return ThrottleMiddleware(late)(environ, start_response)

    one.sync.hit(WSGIRequest({"REMOTE_ADDR": "192.0.2.1"}))
    assert ask(application)[0] == 429


def test_a_refusal_that_a_framework_catches_has_the_same_response(one):
    def catching(environ, start_response):
        try:
            return hitting(one)(environ, start_response)
        except Throttled as error:
            status, fields, body = reply_to(environ, error)
            start_response(f"{status} No", list(fields))
            return [body]

    app = ThrottleMiddleware(catching)
    ask(app)
    status, fields, body = ask(app)
    _, raised, same = ask(ThrottleMiddleware(hitting(one)))
    del raised["Content-Length"]
    assert (status, fields, body) == (429, raised, same)


def test_a_refused_head_has_no_body(one):
    app = ThrottleMiddleware(hello, one)
    ask(app)
    refused = ask(app, REQUEST_METHOD="GET")
    assert ask(app, REQUEST_METHOD="HEAD") == (429, refused[1], b"")


def test_preflights_count_only_if_asked_for(one):
    assert statuses(ThrottleMiddleware(hello, one), 3, **PREFLIGHT) == [200, 200, 200]
    assert statuses(ThrottleMiddleware(hello, one, count_preflights=True), **PREFLIGHT) == [200, 429]


def test_headers_can_be_left_out(one):
    (_, fields, _), (refused, *_) = [ask(ThrottleMiddleware(hello, one, headers=False)) for _ in range(2)]
    assert (fields, refused) == ({"Content-Type": "text/plain"}, 429)


def test_a_handler_may_answer(store):
    reply = Reply(403, (("Content-Type", "text/plain"),), b"later")
    throttle = HTTPThrottle("handled", "0/min", backend=store, handle_throttled=lambda: reply)
    assert ask(ThrottleMiddleware(hello, throttle))[::2] == (403, b"later")


def test_rules_match_the_path_below_the_prefix_of_the_server(store):
    throttle = HTTPThrottle("ruled", "0/min", backend=store, rules=Rule("/cafés/*"))
    app = ThrottleMiddleware(hello, throttle)
    paths = [name.encode().decode("latin-1") for name in ("/cafés/1", "/bars/1")]
    assert [ask(app, SCRIPT_NAME="/shop", PATH_INFO=path)[0] for path in paths] == [429, 200]


def test_a_client_chooses_the_form_of_a_refusal(store):
    app = ThrottleMiddleware(hello, HTTPThrottle("page", "0/min", backend=store))
    kinds = [ask(app, HTTP_ACCEPT=accept)[1]["Content-Type"] for accept in ("text/html", "application/json")]
    assert kinds == ["text/html; charset=utf-8", "application/json"]


def test_an_object_that_is_no_throttle_is_an_error():
    with pytest.raises(TypeError, match=r"has no WebSockets, so .* counts nothing: use an HTTPThrottle"):
        ThrottleMiddleware(None, WebSocketThrottle("sockets", "1/min"))
    with pytest.raises(TypeError, match="the middleware takes throttles"):
        ThrottleMiddleware(hello, "1/min")
