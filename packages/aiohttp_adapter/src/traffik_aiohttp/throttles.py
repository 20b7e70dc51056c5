"""The throttles of traffik, typed for aiohttp's connections."""

from __future__ import annotations

from aiohttp import web

from traffik.throttles import throttle
from traffik_aiohttp.websocket import WebSocketConnection

__all__ = ["HTTPThrottle", "WebSocketThrottle"]


class HTTPThrottle(throttle.HTTPThrottle[web.Request]):
    """`traffik.HTTPThrottle` for `aiohttp.web.Request`."""


class WebSocketThrottle(throttle.WebSocketThrottle[WebSocketConnection]):
    """`traffik.WebSocketThrottle` for a `WebSocketConnection`."""
