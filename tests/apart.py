"""Processes of their own for parts of tests, which begin with our modules imported.

An interpreter that is started would import them again, which takes longer than most parts of tests.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import BaseContext
from pathlib import Path
from tempfile import TemporaryDirectory

PRELOADED = [
    *("traffik.backends.redis", "traffik.backends.lmdb", "tests.events.scraping", "tests.docs.migrations.probes"),
    *("traffik_cli.commands.changes", "traffik_cli.commands.keys", "traffik_cli.commands.lint"),
]


def apart() -> BaseContext:
    """A context of `multiprocessing` whose processes are forks of one that has no more than imported these modules.

    Windows has no forks; its processes are new interpreters.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def run_module(name: str, arguments: Sequence[str], folder: Path, environ: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a module as ``python -m`` in a folder; its exit code and what it wrote to standard output and error."""
    with TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        process = apart().Process(target=_run_module, args=(name, arguments, folder, environ, out, err))
        process.start()
        process.join(60)
        return process.exitcode, out.read_text(), err.read_text()


def _run_module(name: str, arguments: Sequence[str], folder: Path, environ: Mapping[str, str], *files: Path) -> None:
    for stream, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), stream)
    os.environ.update(environ)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
