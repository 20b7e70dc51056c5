"""How an adapter is found, and the contract of the toy framework's adapter."""

from __future__ import annotations

import inspect
import sys

import flask
import litestar
import pytest
from fastapi import Depends, FastAPI

from tests import toy
from traffik import AdapterNotFoundError, HTTPThrottle, WebSocketThrottle, adapters
from traffik.adapters import adapter_of, register_adapter, subapps_of
from traffik.testing import AdapterContract


class TestToyAdapter(AdapterContract):
    adapter = toy.http
    websocket_adapter = toy.websocket

    def http_connection(self, peer="203.0.113.7", app=None, **head):
        return toy.Request(peer, app, **head)

    def another_object_for(self, connection):
        return toy.Request(scope=connection.scope)

    def websocket_connection(self, messages):
        return toy.Socket(messages)


def test_a_subclass_uses_the_adapter_of_its_nearest_base():
    class Special(toy.Socket):
        pass

    assert adapter_of(Special([])) is toy.websocket


def test_an_adapter_may_be_registered_by_the_name_of_a_class():
    class Connection:
        pass

    adapter = toy.HTTPAdapter()
    register_adapter(f"{Connection.__module__}.{Connection.__qualname__}", adapter)
    assert adapter_of(Connection()) is adapter


def test_a_later_registration_replaces_an_earlier_one():
    class Connection:
        pass

    for adapter in (toy.HTTPAdapter(), toy.HTTPAdapter()):
        register_adapter(Connection, adapter)
        assert adapter_of(Connection()) is adapter


def test_an_object_without_an_adapter_is_an_error_that_shows_it():
    with pytest.raises(AdapterNotFoundError, match=r"no adapter for 5 \(builtins\.int\): give the connection"):
        adapter_of(5)


@pytest.mark.parametrize("package", ["starlette", "fastapi"])
def test_a_missing_adapter_is_an_error_that_says_what_to_install(package, monkeypatch):
    monkeypatch.setattr(adapters, "_entry_points", {})
    foreign = type("Request", (), {"__module__": f"{package}.nowhere"})
    with pytest.raises(AdapterNotFoundError, match=rf"pip install 'traffik-core\[{package}\]'"):
        adapter_of(foreign())


@pytest.mark.parametrize(
    ("connection", "advice"),
    [
        (litestar.Request({"type": "http"}), r"ASGIRequest\(request\.scope\), after .*core\[asgi\]'"),
        (flask.Request({"REQUEST_METHOD": "GET"}), r"WSGIRequest\(request\.environ\), after .*core\[wsgi\]'"),
        ({"type": "http"}, r"give traffik_asgi\.ASGIRequest\(scope\)"),
        ({"REQUEST_METHOD": "GET"}, r"give traffik_wsgi\.WSGIRequest\(environ\)"),
        ({"REQUEST_METHOD": "GET", "PATH": "a" * 1000}, r"^no adapter for .{100}… \(builtins\.dict\): "),
        ({}, "give the connection your framework hands you"),
        (adapter_of, r"write @throttled\(throttle\)"),
        ("user:42", "for anything with a name, use a Limiter"),
    ],
)
def test_a_request_of_asgi_or_wsgi_is_an_error_that_says_what_to_make_of_it(connection, advice):
    with pytest.raises(AdapterNotFoundError, match=advice):
        adapter_of(connection)


def test_an_unknown_object_is_a_type_error():
    with pytest.raises(TypeError):
        adapter_of(None)


def test_mounted_applications_are_found_once_at_any_depth_and_nearest_first():
    deep = toy.App()
    left, right = toy.App(deep), toy.App(deep)
    assert subapps_of(toy.App(left, right)) == [left, right, deep]


def test_an_application_mounted_in_itself_causes_no_endless_loop():
    app = toy.App()
    app.mounted = (app,)
    assert subapps_of(app) == []


def test_dependency_injection_gets_the_class_named_by_the_adapter(monkeypatch):
    class Injecting(toy.HTTPAdapter):
        injects = toy.Request

    monkeypatch.setattr(adapters, "_entry_points", {})
    monkeypatch.setattr(adapters, "_registered", {"toy": toy.http, "injecting": Injecting(), "socket": toy.websocket})
    assert adapters.injected(websocket=False) is toy.Request
    assert adapters.injected(websocket=True) is None


@pytest.mark.parametrize("kind", [HTTPThrottle, WebSocketThrottle])
def test_fastapi_without_its_adapter_is_an_error_when_the_route_is_made(monkeypatch, kind):
    monkeypatch.setattr(adapters, "_registered", {})
    monkeypatch.setattr(adapters, "_entry_points", {})
    throttle = kind("without-adapter", "1/min")
    with pytest.raises(AdapterNotFoundError, match=r"no adapter for FastAPI: pip install 'traffik-core\[fastapi\]'"):
        FastAPI().get("/", dependencies=[Depends(throttle)])(lambda: None)


def test_without_fastapi_a_throttle_has_a_signature_too(monkeypatch):
    monkeypatch.setattr(adapters, "_registered", {})
    monkeypatch.setattr(adapters, "_entry_points", {})
    monkeypatch.delitem(sys.modules, "fastapi")
    assert list(inspect.signature(HTTPThrottle("alone", "1/min")).parameters) == ["connection"]
