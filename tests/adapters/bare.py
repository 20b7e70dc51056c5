import json
from http.client import responses

from traffik import Throttled
from traffik.adapters import register_adapter
from traffik.limits.defaults import fields_of
from traffik.model.coroutines import run_sync
from traffik.throttles.guards import hit_each


class Request:
    def __init__(self, environ):
        self.environ = environ


class BareAdapter:
    injects, websocket = None, False

    def peer(self, connection):
        return connection.environ.get("REMOTE_ADDR") or None

    def headers(self, connection, name):
        line = connection.environ.get("HTTP_" + name.upper().replace("-", "_"))
        return () if line is None else (line,)

    def method(self, connection):
        return connection.environ["REQUEST_METHOD"]

    def path(self, connection):
        return connection.environ["PATH_INFO"]

    def route(self, connection):
        return self.path(connection)  # this framework's routes have no parameters

    def app(self, connection):
        return connection.environ.get("bare.app")

    def subapps(self, app):
        return app.mounted.values() if isinstance(app, App) else ()

    def memory(self, connection):
        return connection.environ.setdefault("traffik.model.decisions", {})

    def reject(self, connection, rejection):
        raise Throttled(rejection)


class App:
    def __init__(self, routes, mounted=None, guards=()):
        self.routes, self.mounted, self.guards = routes, mounted or {}, guards

    def __call__(self, environ, start_response):
        request, fields = Request(environ), [("Content-Type", "application/json")]
        try:
            answer = self.answer(request, environ["PATH_INFO"])
            status, body = 404 if answer is None else 200, json.dumps(answer).encode()
            raw = fields_of(adapter.memory(request))
            fields += [(name.decode(), value.decode()) for name, value in raw]
        except Throttled as error:
            status, fields, body = error.rejection.reply(adapter.headers(request, "accept"))
        start_response(f"{status} {responses[status]}", list(fields))
        return [body]

    def answer(self, request, path):
        request.environ["bare.app"] = self
        run_sync(hit_each(self.guards, request, sync=True))
        for prefix, inner in self.mounted.items():
            if path.startswith(f"{prefix}/"):
                return inner.answer(request, path.removeprefix(prefix))
        return self.routes.get(path, lambda _: None)(request)


register_adapter(Request, adapter := BareAdapter())
