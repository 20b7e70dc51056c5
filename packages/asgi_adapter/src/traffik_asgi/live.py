"""The live page as an ASGI application, to mount in any ASGI framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from traffik.live.asgi import page_app
from traffik.live.pages import LivePage
from traffik.throttles.asgi import Receive, Scope, Send
from traffik_asgi.connections import ASGIRequest

__all__ = ["live_app"]


def live_app(page: LivePage) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """An ASGI application that serves `page`; its `authorize` gets an `ASGIRequest`."""
    return page_app(page, ASGIRequest)
