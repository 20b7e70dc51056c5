"""The response to a refused request, for frameworks that handle the exceptions of their endpoints themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traffik.responses.rejections import Reply, Throttled
from traffik.throttles.asgi import accepted_kinds

__all__ = ["reply_to"]


def reply_to(scope: Mapping[str, Any], error: Throttled) -> Reply:
    """The response to a hit that was refused in an endpoint: its status, its header fields and its body.

    Its form (JSON, text or a page) is the one that the client prefers.
    """
    return error.rejection.reply(accepted_kinds(scope))
