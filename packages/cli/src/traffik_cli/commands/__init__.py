"""The commands, one file for each group."""

__all__: list[str] = []
