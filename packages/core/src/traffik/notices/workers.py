"""Finds out whether this process is one of several workers of a server.

It reads the arguments, which workers inherit from their server, the environment, and on Linux the other children of the
parent process. If these show nothing, it reports nothing.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["peers_on_linux", "several_workers", "workers_told"]

_WORD: Final = {"uvicorn": "--workers", "granian": "--workers", "gunicorn": "-w|--workers", "hypercorn": "-w|--workers"}
"""Servers with workers, and their options for the number of workers."""

_VARIABLE: Final = {"uvicorn": "WEB_CONCURRENCY", "gunicorn": "WEB_CONCURRENCY", "granian": "GRANIAN_WORKERS"}
_TOGETHER: Final = 1000
"""Hundredths of a second within which the workers of one server start. A later one replaces another."""


def several_workers() -> str | None:
    """A phrase saying that this process is one of several workers; None if it does not seem to be."""
    server = _server(sys.argv)
    told = workers_told(server, sys.argv, os.environ)
    if told is not None:
        return f"{server} runs {told} workers" if told > 1 else None
    if server is None and not _spawned_by_server(sys.modules):
        return None
    peers = peers_on_linux(os.getpid(), os.getppid())
    return f"its server runs at least {peers + 1} workers" if peers else None


def workers_told(server: str | None, argv: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """The number of workers that the arguments and the environment ask for; None if they do not say."""
    if server is None:
        return None
    if server == "uvicorn" and "--reload" in argv:
        return 1  # uvicorn warns by itself, and runs one
    words = list(argv)
    if server == "gunicorn":
        words = [*shlex.split(environ.get("GUNICORN_CMD_ARGS", "")), *words]
    told = [found for place, word in enumerate(words) if (found := _number(server, word, words[place + 1 :]))]
    told = told or [environ.get(_VARIABLE.get(server, ""), "")]
    return int(told[-1]) if told[-1].isdecimal() else None


def _server(argv: Sequence[str]) -> str | None:
    """The server whose command line this is: ``uvicorn …`` or ``python -m uvicorn …``."""
    program = Path(argv[0] if argv else "")
    name = program.parent.name if program.name == "__main__.py" else program.stem
    return name if name in _WORD else None


def _number(server: str, word: str, after: Sequence[str]) -> str | None:
    """The number in an argument, or in the one after it."""
    match = re.fullmatch(rf"(?:{_WORD[server]})(?:=?(\d+))?", word)
    if match is None:
        return None
    return match[1] or (after[0] if after else None)


def _spawned_by_server(modules: Container[str]) -> bool:
    """Whether `multiprocessing` has started this process and a server is loaded in it, as with ``uvicorn.run``."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None and any(name in modules for name in _WORD)


def peers_on_linux(pid: int, parent: int, proc: Path = Path("/proc")) -> int:
    """The number of other children of `parent` that have the same command line as `pid`, apart from digits, and that
    started at about the same time.
    """
    try:
        own, since = _command(proc, pid), _started(proc, pid)
        children = (proc / str(parent) / "task" / str(parent) / "children").read_text().split()
    except (OSError, ValueError, IndexError):
        return 0
    others = [int(child) for child in children if int(child) != pid]
    return sum(_is_like(proc, other, own, since) for other in others)


def _is_like(proc: Path, pid: int, command: bytes, since: int) -> bool:
    try:
        return _command(proc, pid) == command and abs(_started(proc, pid) - since) <= _TOGETHER
    except (OSError, ValueError, IndexError):
        return False  # the process has ended


def _command(proc: Path, pid: int) -> bytes:
    return re.sub(rb"\d+", b"", (proc / str(pid) / "cmdline").read_bytes())


def _started(proc: Path, pid: int) -> int:
    """The start of a process, in ticks since boot."""
    # The name of the program, in parentheses, may contain any character. The time is the 20th field after it.
    return int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
