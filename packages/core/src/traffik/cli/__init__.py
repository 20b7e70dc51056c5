"""The command line: a shell over `traffik.simulate` and the stores. It fetches and shows, and decides nothing.

It is the only place that knows click, rich, matplotlib and zstandard, which the extra ``traffik[cli]`` brings.
"""

__all__: list[str] = []
