"""The live page: who is refused now, by which throttle, and how the stores are. No framework; adapters mount it."""

__all__: list[str] = []
