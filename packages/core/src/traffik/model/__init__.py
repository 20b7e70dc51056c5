"""The words of the library: rates, costs, decisions, keys and errors. It imports no other room."""

__all__ = []
