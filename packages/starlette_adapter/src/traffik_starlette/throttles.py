"""The throttles of traffik, typed for Starlette's connections."""

from __future__ import annotations

from typing import ClassVar

from starlette.requests import Request
from starlette.websockets import WebSocket

from traffik.throttles import throttle
from traffik_starlette.adapter import http, websocket

__all__ = ["HTTPThrottle", "WebSocketThrottle"]


class HTTPThrottle(throttle.HTTPThrottle[Request]):
    """`traffik.HTTPThrottle` for `starlette.requests.Request`."""

    injects: ClassVar[type | None] = http.injects


class WebSocketThrottle(throttle.WebSocketThrottle[WebSocket]):
    """`traffik.WebSocketThrottle` for `starlette.websockets.WebSocket`."""

    injects: ClassVar[type | None] = websocket.injects
