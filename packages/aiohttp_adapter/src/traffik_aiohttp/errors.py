"""Refusals as aiohttp raises them: one except clause of traffik's or one of aiohttp's catches each."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from traffik import errors
from traffik.rejections import Rejection

__all__ = ["ThrottleUnavailable", "Throttled", "error_for"]


class Throttled(errors.Throttled, web.HTTPTooManyRequests):
    """A refused request, or WebSocket that is not prepared yet: answered with status 429, its headers and a body.

    Args:
        rejection: what is answered.
        accept: the client's lines of Accept.
    """

    def __init__(self, rejection: Rejection, accept: Sequence[str] = ()) -> None:
        _answer(self, rejection, accept)


class ThrottleUnavailable(errors.Throttled, web.HTTPServiceUnavailable):
    """A request that nobody can decide on while the store is away: answered with status 503 in the same way."""

    def __init__(self, rejection: Rejection, accept: Sequence[str] = ()) -> None:
        _answer(self, rejection, accept)


def error_for(rejection: Rejection, accept: Sequence[str] = ()) -> Throttled | ThrottleUnavailable:
    """The error that answers with the status of `rejection`, for a client with these lines of Accept."""
    return (Throttled if rejection.status == Throttled.status_code else ThrottleUnavailable)(rejection, accept)


def _answer(error: Throttled | ThrottleUnavailable, rejection: Rejection, accept: Sequence[str]) -> None:
    error.rejection = rejection
    _, fields, body = rejection.reply(accept)
    web.HTTPException.__init__(error, headers=fields, text=body.decode())
    error.headers["Content-Type"] = dict(fields)["Content-Type"]  # without the charset that aiohttp adds to JSON
