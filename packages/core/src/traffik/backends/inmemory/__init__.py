"""The store in the memory of this process."""

from __future__ import annotations

from traffik.backends.inmemory.backend import InMemoryBackend

__all__ = ["InMemoryBackend"]
