"""A WebSocket of aiohttp as one object: the request that opens it and the response that carries its messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import WSCloseCode, web

__all__ = ["REASON", "WebSocketConnection"]

REASON: Final = b"Rate limit exceeded"
"""Why a WebSocket is closed, for its client."""


@dataclass(frozen=True, slots=True)
class WebSocketConnection:
    """What a `WebSocketThrottle` hits: before `response.prepare` a refusal is status 429, after it a message.

        ws = web.WebSocketResponse()
        connection = WebSocketConnection(request, ws)

    Attributes:
        request: what the handler was given.
        response: the WebSocket that answers it.
    """

    request: web.Request
    response: web.WebSocketResponse

    async def close_violation(self) -> bool:
        """Close it for good with code 1008, a policy violation; whether it was open."""
        return await self.response.close(code=WSCloseCode.POLICY_VIOLATION, message=REASON)

    async def close_try_again(self) -> bool:
        """Close it for now with code 1013, try again later (the message has told when); whether it was open."""
        return await self.response.close(code=WSCloseCode.TRY_AGAIN_LATER, message=REASON)
