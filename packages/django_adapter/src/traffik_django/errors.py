"""The error that a refusal in a view raises."""

from __future__ import annotations

from traffik.responses import rejections

__all__ = ["Throttled"]


class Throttled(rejections.Throttled):
    """A refused request. Django has no error for status 429, so `ThrottleMiddleware` turns this one into a response."""
