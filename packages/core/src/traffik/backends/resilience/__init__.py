"""What happens when a store does not answer: circuit breaker, deny cache, error policy, health."""

__all__ = []
