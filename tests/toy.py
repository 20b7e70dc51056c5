"""A toy framework of two classes, for tests without a real one. Importing it registers its adapters."""

from __future__ import annotations

from traffik import adapters
from traffik.responses.rejections import Throttled


class Request:
    """A request; objects with the same scope are the same connection."""

    def __init__(self, peer="203.0.113.7", app=None, scope=None, **head):
        self.scope = {"peer": peer, "app": app, **head} if scope is None else scope


class Socket(Request):
    """An accepted WebSocket. Messages sent to it are appended to `messages`."""

    def __init__(self, messages, **scope):
        super().__init__(**scope)
        self.messages = messages

        self.accepted, self.closed = True, None

    async def send(self, message):
        self.messages.append(message)


class App:
    def __init__(self, *mounted):
        self.mounted = mounted


class HTTPAdapter:
    injects = None  # otherwise a real framework in the same process would get these
    websocket = False

    def peer(self, connection):
        return connection.scope["peer"]

    def headers(self, connection, name):
        return [value for key, value in connection.scope.get("headers", ()) if key == name]

    def method(self, connection):
        return connection.scope.get("method", "GET")

    def path(self, connection):
        return connection.scope.get("path", "/")

    def route(self, connection):
        return connection.scope.get("route")

    def app(self, connection):
        return connection.scope["app"]

    def subapps(self, app):
        return getattr(app, "mounted", ())

    def memory(self, connection):
        return connection.scope.setdefault("decisions", {})

    def reject(self, connection, rejection):
        raise Throttled(rejection)


class SocketAdapter(HTTPAdapter):
    websocket = True

    def accepted(self, connection):
        return connection.accepted

    def pause(self, connection, sleep):
        return sleep()

    def close(self, connection, rejection, code):
        connection.closed = connection.closed or code

    def reject(self, connection, rejection):
        return connection.send(rejection.message)


http, websocket = HTTPAdapter(), SocketAdapter()
adapters.register_adapter(Request, http)
adapters.register_adapter(Socket, websocket)
