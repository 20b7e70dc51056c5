"""Whether this process is one of several workers of a server: by what the server was told, or by who stands beside it.

It only looks: the arguments, which spawned and forked workers have from their server, the environment, and on Linux the
children of the same parent. What it cannot see is no alarm.
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
"""Servers with workers, and the options that say how many."""

_VARIABLE: Final = {"uvicorn": "WEB_CONCURRENCY", "gunicorn": "WEB_CONCURRENCY", "granian": "GRANIAN_WORKERS"}
_TOGETHER: Final = 1000
"""Ticks of a hundredth of a second within which workers of one server start; a later one takes the place of another."""


def several_workers() -> str | None:
    """What says that this process is one of several workers; None if nothing does."""
    server = _server(sys.argv)
    told = workers_told(server, sys.argv, os.environ)
    if told is not None:
        return f"{server} runs {told} workers" if told > 1 else None
    if server is None and not _spawned_by_server(sys.modules):
        return None
    peers = peers_on_linux(os.getpid(), os.getppid())
    return f"its server runs at least {peers + 1} workers" if peers else None


def workers_told(server: str | None, argv: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """How many workers a server was told to run; None if it was not told here."""
    if server is None:
        return None
    if server == "uvicorn" and "--reload" in argv:
        return 1  # it says so itself, and runs one
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
    """Whether `multiprocessing` has made this process, in which a server is loaded: as ``uvicorn.run`` does it."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None and any(name in modules for name in _WORD)


def peers_on_linux(pid: int, parent: int, proc: Path = Path("/proc")) -> int:
    """The other children of `parent` with the command line of `pid`, numbers aside, that have started with it."""
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
        return False  # it has ended meanwhile


def _command(proc: Path, pid: int) -> bytes:
    return re.sub(rb"\d+", b"", (proc / str(pid) / "cmdline").read_bytes())


def _started(proc: Path, pid: int) -> int:
    """When a process started, in ticks since the boot."""
    # The name of the program, in parentheses, may hold anything; 20 fields stand between it and the time.
    return int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
