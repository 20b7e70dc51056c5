"""Fixtures that call the command, in this process or from a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO

import pytest

from tests.apart import run_module
from traffik_cli.main import run


@dataclass
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def traffik(capsys):
    """Calls the command in this process, as a shell does, but without standard input."""

    def call(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def called():
    """The same as `traffik`, for what several tests share."""

    def call(*arguments):
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            code = run([str(argument) for argument in arguments])
        return Said(code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def shell(tmp_path):
    """Calls the command as a process, in an empty folder."""

    def call(*arguments, given=b"", **environ):
        done = subprocess.run(
            [sys.executable, "-m", "traffik_cli", *map(str, arguments)],
            input=given,
            capture_output=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environ,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


@pytest.fixture
def process(tmp_path):
    """The same as `shell`, in a process that has imported most modules, without standard input."""

    def call(*arguments, **environ):
        return Said(*run_module("traffik_cli", [str(argument) for argument in arguments], tmp_path, environ))

    return call


@pytest.fixture
def unpictured(monkeypatch):
    """Leave the pictures of pages out, which take longest, for tests of what a page says."""
    from traffik_cli import pages

    monkeypatch.setattr(pages, "svg", lambda outcome, **how: "<svg></svg>")


@pytest.fixture(scope="session")
def access_log(tmp_path_factory):
    """Three hours of synthetic traffic, with a scraper in the last hour."""
    from traffik_cli.replay.synthetic import Traffic

    path = tmp_path_factory.mktemp("logs") / "access.log"
    path.write_bytes(b"".join(Traffic(hours=3, requests=3000, clients=200, scraper=2).blocks()))
    return path
