"""The throttles of traffik, typed for Starlette's connections; nothing else is different."""

from __future__ import annotations

from starlette.requests import Request
from starlette.websockets import WebSocket

from traffik import throttles

__all__ = ["HTTPThrottle", "WebSocketThrottle"]


class HTTPThrottle(throttles.HTTPThrottle[Request]):
    """`traffik.HTTPThrottle` for `starlette.requests.Request`."""


class WebSocketThrottle(throttles.WebSocketThrottle[WebSocket]):
    """`traffik.WebSocketThrottle` for `starlette.websockets.WebSocket`."""
