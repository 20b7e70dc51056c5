"""Hits that the files cannot keep although they are well, so that nothing is to be spared: what is wrong with each."""

from __future__ import annotations

from traffik.model.errors import BackendError

__all__ = ["FullError", "ReenteredError", "UnkeptError"]


class UnkeptError(BackendError):
    """The store answers, but it cannot keep this."""


class FullError(UnkeptError):
    """There is no room for it, and there can be no more."""


class ReenteredError(UnkeptError):
    """This thread is in the file already: the handler of a signal, or a strategy, hits while a hit is decided."""
