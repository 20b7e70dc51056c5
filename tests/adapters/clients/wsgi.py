"""Serves a service as a plain WSGI application, by waitress."""

import json
from contextlib import contextmanager

from tests.adapters.services import Framework, carry_out_sync
from tests.wsgi_server import serve_by_threads
from traffik.backends.binding import bound
from traffik_wsgi import ThrottleMiddleware, WSGIRequest


class WSGIClient(Framework):
    websockets = asynchronous = answers = uploads = routes = live = False

    @contextmanager
    def serving(self, service):
        app = Application(service)
        with (
            service.backend as store,
            bound(store, app, ()),
            serve_by_threads(ThrottleMiddleware(app, service.guards)) as address,
        ):
            yield address


class Application:
    """Routes with calls, throttled by middlewares around single routes too."""

    def __init__(self, service):
        mounted = {f"/in{path}": calls for path, calls in service.mounted.items()}
        self.routes = {
            path: ThrottleMiddleware(view_of(calls), service.decorated.get(path, ()))
            for path, calls in {**service.routes, **mounted}.items()
        }

    def __call__(self, environ, start_response):
        route = self.routes.get(environ["PATH_INFO"])
        if route is None:
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        return route(environ, start_response)


def view_of(calls):
    def view(environ, start_response):
        body = json.dumps(carry_out_sync(WSGIRequest(environ), calls)).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return view
