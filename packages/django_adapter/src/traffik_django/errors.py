"""A refusal as Django's views raise it."""

from __future__ import annotations

from traffik.responses import rejections

__all__ = ["Throttled"]


class Throttled(rejections.Throttled):
    """A refused request. Django has no error for status 429, so `ThrottleMiddleware` turns this one into the answer."""
