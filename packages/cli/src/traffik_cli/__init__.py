"""The command line: a shell over `traffik_cli.replay` and the stores. It fetches and shows, and decides nothing.

It is the only place that knows click, rich, matplotlib and zstandard, which the extra ``traffik-core[cli]`` brings.
"""

__all__: list[str] = []
