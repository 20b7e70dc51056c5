"""The words of the library: rates, costs, decisions, keys and errors. Imports nothing else of it."""

__all__ = []
