"""The throttle of traffik, typed for WSGI requests."""

from __future__ import annotations

from traffik.throttles import throttle
from traffik_wsgi.requests import WSGIRequest

__all__ = ["HTTPThrottle"]


class HTTPThrottle(throttle.HTTPThrottle[WSGIRequest]):
    """`traffik.HTTPThrottle` for `WSGIRequest`."""
