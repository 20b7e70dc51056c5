"""Stores, each imported by its own path: `traffik.backends.inmemory`."""

__all__: list[str] = []
