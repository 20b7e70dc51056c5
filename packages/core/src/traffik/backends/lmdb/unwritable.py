"""Errors of a store that works but cannot count one hit. They are logged, and do not count for the breaker."""

from __future__ import annotations

from traffik.model.errors import BackendError

__all__ = ["CrampedError", "FullError", "ReenteredError", "UnwritableError"]


class UnwritableError(BackendError):
    """The store works, but it cannot count this hit."""


class FullError(UnwritableError):
    """The file has no room for it and cannot grow."""


class ReenteredError(UnwritableError):
    """This thread is using the file already: a signal handler, or a strategy, hits while a hit is being decided."""


class CrampedError(Exception):
    """A file is nearly full and can grow: decide again once it has grown."""
