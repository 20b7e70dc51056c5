"""The errors that refusals raise. Each is an error of traffik and of aiohttp, so `except` works with either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from aiohttp import web

from traffik.responses import rejections
from traffik.responses.rejections import Rejection

__all__ = ["ThrottleDenied", "ThrottleUnavailable", "Throttled", "ThrottledTooLate", "error_for"]


class Throttled(rejections.Throttled, web.HTTPTooManyRequests):
    """A refused request, or a refused WebSocket before its `prepare`. aiohttp answers with status 429.

    Args:
        rejection: the rejection to send.
        accept: the client's lines of Accept.
    """

    def __init__(self, rejection: Rejection, accept: Sequence[str] = ()) -> None:
        _answer(self, rejection, accept)


class ThrottleUnavailable(rejections.Throttled, web.HTTPServiceUnavailable):
    """A request that is refused since the store does not answer. aiohttp answers with status 503."""

    def __init__(self, rejection: Rejection, accept: Sequence[str] = ()) -> None:
        _answer(self, rejection, accept)


class ThrottleDenied(rejections.Throttled, web.HTTPForbidden):
    """A request of a denied client. aiohttp answers with status 403."""

    def __init__(self, rejection: Rejection, accept: Sequence[str] = ()) -> None:
        _answer(self, rejection, accept)


class ThrottledTooLate(rejections.Throttled):
    """A request that is refused after its response has begun. aiohttp closes the connection.

    Status 429 can no longer be sent. On a WebSocket it would be a broken frame.
    """

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection)
        self.add_note(
            f"The response has begun, so status {rejection.status} cannot be sent: hit the request before that, or hit "
            f"a WebSocket as WebSocketConnection(request, response)."
        )


_Refusal: TypeAlias = Throttled | ThrottleUnavailable | ThrottleDenied

_BY_STATUS: Final[dict[int, type[_Refusal]]] = {429: Throttled, 503: ThrottleUnavailable, 403: ThrottleDenied}


def error_for(rejection: Rejection, accept: Sequence[str] = ()) -> _Refusal:
    """The error for the status of `rejection`, for a client with these lines of Accept."""
    return _BY_STATUS[rejection.status](rejection, accept)


def _answer(error: _Refusal, rejection: Rejection, accept: Sequence[str]) -> None:
    error.rejection = rejection
    _, fields, body = rejection.reply(accept)
    web.HTTPException.__init__(error, headers=fields, text=body.decode())
    error.headers["Content-Type"] = dict(fields)["Content-Type"]  # without the charset that aiohttp adds to JSON
