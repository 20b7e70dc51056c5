"""Which requests a throttle applies to."""

__all__ = []
