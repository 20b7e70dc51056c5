"""The commands, a file for each kind."""

__all__: list[str] = []
