"""The adapters keep the contract of all adapters."""

import copy

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

    def http_connection(self, peer="203.0.113.7", app=None):
        return RequestFactory().get("/", REMOTE_ADDR=peer or "")

    def another_object_for(self, connection):
        return copy.copy(connection)

    def make_app(self):
        return apps


class TestASGI(TestWSGI):
    def http_connection(self, peer="203.0.113.7", app=None):
        client = {"client": (peer, 50_000)} if peer else {}
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", **client}
        return ASGIRequest(scope, None)


class TestRESTFramework(TestWSGI):
    adapter = drf

    def http_connection(self, peer="203.0.113.7", app=None):
        return Request(super().http_connection(peer))

    def another_object_for(self, connection):
        return Request(connection._request)


@pytest.mark.parametrize("kind", [HttpRequest, WSGIRequest, ASGIRequest])
def test_every_request_of_django_is_known(kind):
    assert adapter_of(kind.__new__(kind)) is http


def test_django_and_rest_framework_remember_together():
    request = RequestFactory().get("/")
    assert drf.memory(Request(request)) is http.memory(request)


def test_a_refusal_is_of_this_package(uid, backend):
    import traffik_django

    with pytest.raises(traffik_django.Throttled) as caught:
        traffik_django.HTTPThrottle(uid, "0/min").sync.hit(RequestFactory().get("/"))
    assert isinstance(caught.value, Throttled)
