"""What a client is told: header fields, problem details, and the options for them."""

__all__ = []
