"""Throttles: limits for connections. These are the objects that applications create and call."""

from __future__ import annotations

from traffik.throttles.outcomes import get_wait, is_throttled
from traffik.throttles.throttle import (
    HandlerOption,
    HTTPThrottle,
    IdentifierOption,
    SyncThrottle,
    Throttle,
    WebSocketThrottle,
)

__all__ = [
    "HTTPThrottle",
    "HandlerOption",
    "IdentifierOption",
    "SyncThrottle",
    "Throttle",
    "WebSocketThrottle",
    "get_wait",
    "is_throttled",
]
