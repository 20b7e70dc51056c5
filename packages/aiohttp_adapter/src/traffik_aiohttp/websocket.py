"""A WebSocket of aiohttp as one object: the request that opens it and the response that carries its messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import WSCloseCode, web

__all__ = ["REASON", "WebSocketConnection"]

REASON: Final = b"Rate limit exceeded"
"""The reason for closing a WebSocket that its client gets."""


@dataclass(frozen=True, slots=True)
class WebSocketConnection:
    """The connection for a `WebSocketThrottle`: before `response.prepare` a refusal is status 429, after it a message.

        ws = web.WebSocketResponse()
        connection = WebSocketConnection(request, ws)

    Attributes:
        request: the request that the handler was given.
        response: the WebSocket that answers it.
    """

    request: web.Request
    response: web.WebSocketResponse

    async def close_violation(self) -> bool:
        """Close it with code 1008, a policy violation. Returns whether it was open."""
        return await self.response.close(code=WSCloseCode.POLICY_VIOLATION, message=REASON)

    async def close_try_again(self) -> bool:
        """Close it with code 1013, try again later, as told in the message before. Returns whether it was open."""
        return await self.response.close(code=WSCloseCode.TRY_AGAIN_LATER, message=REASON)
