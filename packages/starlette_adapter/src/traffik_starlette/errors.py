"""Refusals as Starlette raises them: one except clause of traffik's or one of Starlette's catches each."""

from __future__ import annotations

from starlette.exceptions import HTTPException, WebSocketException

from traffik.limits.floods import VIOLATION
from traffik.responses import rejections
from traffik.responses.rejections import Rejection

__all__ = ["Throttled", "WebSocketThrottled"]


class Throttled(rejections.Throttled, HTTPException):
    """A refused request, or WebSocket that is not accepted yet: answered with status 429 and its headers."""

    def __init__(self, rejection: Rejection) -> None:
        HTTPException.__init__(self, rejection.status, rejection.detail, dict(rejection.headers))
        self.rejection = rejection


class WebSocketThrottled(rejections.Throttled, WebSocketException):
    """A WebSocket that is closed: before its accept, on a server that cannot deny with a status, or for a flood."""

    def __init__(self, rejection: Rejection, code: int = VIOLATION, reason: str | None = None) -> None:
        WebSocketException.__init__(self, code, rejection.detail if reason is None else reason)
        self.rejection = rejection
