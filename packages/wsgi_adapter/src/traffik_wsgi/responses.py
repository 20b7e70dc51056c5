"""The response to a refused request, for frameworks that handle the exceptions of their views themselves."""

from __future__ import annotations

from typing import Any

from traffik.responses.rejections import Reply, Throttled
from traffik_wsgi.adapter import http
from traffik_wsgi.requests import WSGIRequest

__all__ = ["reply_to"]


def reply_to(environ: dict[str, Any], error: Throttled) -> Reply:
    """The response to a hit that was refused in a view: its status, its header fields and its body.

    Its form (JSON, text or a page) is the one that the client prefers.
    """
    return error.rejection.reply(http.headers(WSGIRequest(environ), "accept"))
