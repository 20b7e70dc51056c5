"""The live page as a pure ASGI application, to mount: ``app.mount("/limits", live_app(page))``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp

from traffik.live.asgi import page_app
from traffik.live.pages import LivePage

__all__ = ["live_app"]


def live_app(page: LivePage) -> ASGIApp:
    """An ASGI application that serves `page`; its `authorize` gets Starlette's request."""
    return page_app(page, Request)
