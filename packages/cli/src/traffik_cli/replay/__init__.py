"""Try a limit on traffic that has been: logs in, who would have been refused out, decided by the kernels of production.

Pure but for what its callers hand in: blocks of bytes. It opens no files, reads no clock (the log is the clock), and
needs nothing that is not in Python itself. The command line in `traffik_cli` is its shell.
"""

__all__: list[str] = []
