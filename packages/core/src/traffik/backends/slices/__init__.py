"""The store for very hot keys: it takes slices of a limit from another store, and spends them in this process."""

from traffik.backends.slices.backend import SlicedBackend

__all__ = ["SlicedBackend"]
