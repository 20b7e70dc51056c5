"""The adapters pass the contract tests of adapters."""

import copy
from urllib.parse import quote

import pytest
from django.apps import apps
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.test import RequestFactory
from rest_framework.request import Request

from traffik import Throttled
from traffik.adapters import adapter_of
from traffik.testing import AdapterContract
from traffik_django.adapter import http
from traffik_django.drf_requests import drf


class TestWSGI(AdapterContract):
    adapter = http

    def http_connection(self, peer="203.0.113.7", app=None, method="GET", path="/", headers=()):
        return RequestFactory().generic(method, quote(path), headers=dict(headers), REMOTE_ADDR=peer or "")

    def another_object_for(self, connection):
        return copy.copy(connection)

    def make_app(self):
        return apps


class TestASGI(TestWSGI):
    def http_connection(self, peer="203.0.113.7", app=None, method="GET", path="/", headers=()):
        client = {"client": (peer, 50_000)} if peer else {}
        fields = [(name.encode(), value.encode()) for name, value in headers]
        scope = {"type": "http", "method": method, "path": path, "headers": fields, "query_string": b"", **client}
        return ASGIRequest(scope, None)


class TestRESTFramework(TestWSGI):
    adapter = drf

    def http_connection(self, *args, **kwargs):
        return Request(super().http_connection(*args, **kwargs))

    def another_object_for(self, connection):
        return Request(connection._request)


@pytest.mark.parametrize("kind", [HttpRequest, WSGIRequest, ASGIRequest])
def test_every_request_class_of_django_has_an_adapter(kind):
    assert adapter_of(kind.__new__(kind)) is http


def test_a_request_of_rest_framework_shares_the_decision_of_its_django_request():
    request = RequestFactory().get("/")
    assert drf.memory(Request(request)) is http.memory(request)


def test_a_refusal_is_an_exception_of_this_package(uid, backend):
    import traffik_django

    with pytest.raises(traffik_django.Throttled) as caught:
        traffik_django.HTTPThrottle(uid, "0/min").sync.hit(RequestFactory().get("/"))
    assert isinstance(caught.value, Throttled)


def test_under_asgi_a_header_with_an_underscore_is_another_header():
    names = (b"x_forwarded_for", b"x-forwarded-for", b"x-forwarded-for")
    headers = [(name, b"%d" % place) for place, name in enumerate(names)]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    assert list(http.headers(ASGIRequest(scope, None), "x-forwarded-for")) == ["1", "2"]
