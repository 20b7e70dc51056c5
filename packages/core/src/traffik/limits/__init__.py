"""Limits, limiters, the path of a hit, and what holds for all of them."""

__all__ = []
