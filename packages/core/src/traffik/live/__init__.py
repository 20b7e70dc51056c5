"""The live page: which clients are refused now, by which throttle, and whether the stores work. Adapters mount it."""

__all__: list[str] = []
