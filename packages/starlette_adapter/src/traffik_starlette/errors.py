"""The errors that refusals raise. Each is an error of traffik and of Starlette, so `except` works with either."""

from __future__ import annotations

from starlette.exceptions import HTTPException, WebSocketException

from traffik.limits.floods import VIOLATION
from traffik.responses import rejections
from traffik.responses.rejections import Rejection

__all__ = ["Throttled", "WebSocketThrottled"]


class Throttled(rejections.Throttled, HTTPException):
    """A refused request, or a refused WebSocket before its accept. Starlette answers with status 429."""

    def __init__(self, rejection: Rejection) -> None:
        HTTPException.__init__(self, rejection.status, rejection.detail, dict(rejection.headers))
        self.rejection = rejection


class WebSocketThrottled(rejections.Throttled, WebSocketException):
    """A refused WebSocket that is closed, for a flood, or before its accept if the server cannot send a status."""

    def __init__(self, rejection: Rejection, code: int = VIOLATION, reason: str | None = None) -> None:
        WebSocketException.__init__(self, code, rejection.detail if reason is None else reason)
        self.rejection = rejection
