"""The command line. It reads logs and stores and prints results; `traffik_cli.replay` and the stores do the work.

Only this package imports click, rich, matplotlib and zstandard, which the extra ``traffik-core[cli]`` installs.
"""

__all__: list[str] = []
