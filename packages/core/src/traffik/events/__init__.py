"""Watch decisions: events for listeners, counts, and metrics. While nothing watches, a hit does no work for them."""

__all__ = []
