"""The adapter of WSGI passes the contract of adapters, and reads what servers put into the environ."""

from __future__ import annotations

import pytest

from traffik import ConfigurationError
from traffik.testing import AdapterContract
from traffik_wsgi import WSGIRequest, adapter


class TestAdapter(AdapterContract):
    adapter = adapter.http

    def http_connection(self, peer="203.0.113.7", app=None, method="GET", path="/", headers=()):
        fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers}
        path = path.encode().decode("latin-1")
        environ = {"REMOTE_ADDR": peer or "", "REQUEST_METHOD": method, "PATH_INFO": path, **fields}
        return WSGIRequest({**environ, "traffik.app": app})

    def another_object_for(self, connection):
        return WSGIRequest(connection.environ)


def test_the_fields_about_the_body_have_no_prefix():
    request = WSGIRequest({"CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "5"})
    lines = [adapter.http.headers(request, name) for name in ("content-type", "content-length", "content-md5")]
    assert lines == [("text/plain",), ("5",), ()]


def test_the_path_has_the_prefix_of_a_mount_and_not_that_of_the_server():
    environ = {"SCRIPT_NAME": "/shop/in", "PATH_INFO": "/items"}
    assert adapter.http.path(WSGIRequest(environ)) == "/shop/in/items"
    assert adapter.http.path(WSGIRequest({**environ, "traffik.root": "/shop"})) == "/in/items"
    assert adapter.http.path(WSGIRequest({"SCRIPT_NAME": "/shop", "traffik.root": "/shop"})) == "/"


def test_a_rule_by_route_is_an_error_that_says_what_to_do():
    with pytest.raises(ConfigurationError, match="name paths in the rule"):
        adapter.http.route(WSGIRequest({}))


def test_a_request_is_made_of_an_environ():
    with pytest.raises(TypeError, match=r"a dict such as request\.environ, not 5"):
        WSGIRequest(5)
    assert repr(WSGIRequest({"REQUEST_METHOD": "GET", "PATH_INFO": "/"})) == "<WSGIRequest GET '/'>"
