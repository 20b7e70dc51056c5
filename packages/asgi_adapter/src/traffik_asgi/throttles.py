"""The throttles of traffik, typed for ASGI connections."""

from __future__ import annotations

from traffik.throttles import throttle
from traffik_asgi.connections import ASGIRequest, ASGIWebSocket

__all__ = ["HTTPThrottle", "WebSocketThrottle"]


class HTTPThrottle(throttle.HTTPThrottle[ASGIRequest]):
    """`traffik.HTTPThrottle` for `ASGIRequest`."""


class WebSocketThrottle(throttle.WebSocketThrottle[ASGIWebSocket]):
    """`traffik.WebSocketThrottle` for `ASGIWebSocket`."""
