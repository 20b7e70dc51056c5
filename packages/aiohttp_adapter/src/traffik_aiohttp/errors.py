"""Refusals as aiohttp raises them: one except clause of traffik's or one of aiohttp's catches each."""

from __future__ import annotations

import json

from aiohttp import web

from traffik import errors
from traffik.rejections import Rejection

__all__ = ["ThrottleUnavailable", "Throttled", "error_for"]


class Throttled(errors.Throttled, web.HTTPTooManyRequests):
    """A refused request, or WebSocket that is not prepared yet: answered with status 429, its headers and JSON."""

    def __init__(self, rejection: Rejection) -> None:
        _answer(self, rejection)


class ThrottleUnavailable(errors.Throttled, web.HTTPServiceUnavailable):
    """A request that nobody can decide on while the store is away: answered with status 503 in the same way."""

    def __init__(self, rejection: Rejection) -> None:
        _answer(self, rejection)


def error_for(rejection: Rejection) -> Throttled | ThrottleUnavailable:
    """The error that answers with the status of `rejection`."""
    return (Throttled if rejection.status == Throttled.status_code else ThrottleUnavailable)(rejection)


def _answer(error: Throttled | ThrottleUnavailable, rejection: Rejection) -> None:
    error.rejection = rejection
    text = json.dumps(rejection.body)
    web.HTTPException.__init__(error, headers=rejection.headers, text=text, content_type="application/json")
