"""A refusal as Django's views raise it."""

from __future__ import annotations

from traffik import errors

__all__ = ["Throttled"]


class Throttled(errors.Throttled):
    """A refused request. Django has no error for status 429, so `ThrottleMiddleware` turns this one into the answer."""
