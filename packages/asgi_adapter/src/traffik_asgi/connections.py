"""The connections that throttles hit: ASGI itself has only a dict and two functions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from traffik.model.descriptions import describe
from traffik.throttles.asgi import Message, Receive, Scope, Send

__all__ = ["APP", "ROOT", "ASGIRequest", "ASGIWebSocket"]

APP: Final = "traffik.app"
"""The key of the scope with the application that serves the connection."""

ROOT: Final = "traffik.root"
"""The key of the scope with the prefix that the server adds in front of all paths."""

_LINE: Final = "traffik.websocket"


class ASGIRequest:
    """An HTTP request: `await throttle.hit(ASGIRequest(scope))`. All objects for one scope are one request.

    Args:
        scope: as the server calls an application with it. Litestar and Quart have it as ``request.scope``.

    Raises:
        TypeError: it is not a dict.
    """

    __slots__ = ("scope",)

    def __init__(self, scope: Mapping[str, Any]) -> None:
        if not isinstance(scope, dict):
            raise TypeError(
                f"an ASGI request is made of its scope, a dict such as request.scope, not {describe(scope)}"
            )
        self.scope: Scope = scope

    @property
    def method(self) -> str:
        """The method, in upper case. A request that opens a WebSocket is a GET."""
        method: str = self.scope.get("method", "GET")
        return method

    @property
    def headers(self) -> dict[str, str]:
        """The header fields, by name in lower case. Lines with the same name are joined with commas."""
        found: dict[str, str] = {}
        for name, value in self.scope.get("headers", ()):
            key, line = name.decode("latin-1").lower(), value.decode("latin-1")
            found[key] = f"{found[key]}, {line}" if key in found else line
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.scope.get('path')!r}>"


class ASGIWebSocket(ASGIRequest):
    """A WebSocket: hit it before its accept, or for each message. All objects for one scope are one WebSocket.

    It knows whether the WebSocket is open from the messages that go through its `receive` and `send`. Inside of a
    `ThrottleMiddleware` all messages do, so `ASGIWebSocket(scope)` is enough.

    Args:
        scope: as the server calls an application with it.
        receive: the function that the application was called with.
        send: the other one.

    Raises:
        TypeError: the scope is not a dict, or there is no middleware around the application and a function is missing.
    """

    __slots__ = ("_line",)

    def __init__(self, scope: Mapping[str, Any], receive: Receive | None = None, send: Send | None = None) -> None:
        super().__init__(scope)
        line = self.scope.get(_LINE)
        if line is None:
            if receive is None or send is None:
                raise TypeError(
                    "put a ThrottleMiddleware around the application, or give receive and send too: "
                    "ASGIWebSocket(scope, receive, send)"
                )
            line = self.scope[_LINE] = _Line(receive, send)
        self._line: _Line = line

    @property
    def is_open(self) -> bool:
        """Whether it is accepted, and neither side has closed it."""
        return self._line.accepted and not self._line.ended

    @property
    def accepted(self) -> bool:
        """Whether it has been accepted."""
        return self._line.accepted

    async def receive(self) -> Message:
        """The next message; after `close` the one that it has ended."""
        return await self._line.take()

    async def send(self, message: Message) -> None:
        """Send a message. After `close` this does nothing.

        Raises:
            OSError: the client has gone. Some servers do not raise it, and only `receive` tells.
        """
        await self._line.put(message)

    async def close(self, code: int, reason: str) -> None:
        """Close it, so that `receive` and `send` of the application end too. Does nothing if it has ended."""
        if not self._line.ended:
            with suppress(OSError):  # the client has gone
                await self._line.put({"type": "websocket.close", "code": code, "reason": reason})
            self._line.code = code


class _Line:
    """The messages of a WebSocket, and what they say about it."""

    __slots__ = ("_receive", "_send", "accepted", "code", "ended")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.accepted = False
        self.ended = False
        self.code: int | None = None

    async def take(self) -> Message:
        if self.code is not None:
            return {"type": "websocket.disconnect", "code": self.code}
        message = await self._receive()
        self.ended = self.ended or message["type"] == "websocket.disconnect"
        return message

    async def put(self, message: Message) -> None:
        if self.code is not None:
            return
        kind = message["type"]
        self.accepted = self.accepted or kind == "websocket.accept"
        self.ended = self.ended or kind == "websocket.close"
        try:
            await self._send(message)
        except OSError:  # the client has gone
            self.ended = True
            raise
