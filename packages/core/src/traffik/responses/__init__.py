"""Responses to clients: header fields, problem details, and the options for them."""

__all__ = []
