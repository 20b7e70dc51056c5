"""A mistake is reported in a sentence, with exit code 2. An interrupt and a closed pipe end quietly."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import signal
import subprocess
import sys
import time

import pytest
import zstandard
from click import Context

from traffik_cli.main import cli

MISTAKES = [
    (("replay",), "no limit to try: give --rate"),
    (("replay", "--rate", "5/s"), "no log to read"),
    (("replay", "nowhere", "--rate", "5/s"), "cannot read nowhere: No such file"),
    (("replay", ".", "--rate", "5/s"), ". is a folder"),
    (("replay", "-", "-", "--rate", "5/s"), "standard input can be read only once"),
    (("replay", "-", "--rate", "5/fortnight"), "'fortnight' is not a unit of time"),
    (("replay", "-", "--rate", "5/s", "--key", "user"), "'user' is not a key"),
    (("replay", "-", "--rate", "5/s", "--fail-if", "x"), "'x' is not a condition"),
    (("replay", "-", "--rate", "5/s", "--policy", "limits.toml"), "no limit to try"),
    (("replay", "-", "--policy", "nowhere.toml"), "cannot read nowhere.toml"),
    (("replay", "-", "--rate", "5/s", "--compare", "5/s"), "compared with itself"),
    (("replay", "-", "--rate", "5/s", "--strategy", "magic"), "'magic' is not one of"),
    (("replay", "-", "--rate", "5/s", "--burst", "5"), "sliding-window has no burst"),
    (("replay", "x", "--rate", "5/s", "--synthetic", "default"), "give it or files, not both"),
    (("replay", "--synthetic", "days=1", "--rate", "5/s"), "not a setting of --synthetic"),
    (
        ("replay", "--synthetic", "hours=1,requests=9", "--rate", "5/s", "--plot", "x.bmp"),
        "is not a picture",
    ),
    (("replay", "--synthetic", "hours=1,requests=9", "--rate", "5/s", "--html", "no/x.html"), "cannot write"),
    (("replay", "-", "--rate", "5/s", "--window", "soon"), "not a unit of time"),
    (
        ("stat", "--store", "memory://", "--throttle", "a", "--id", "b", "--rate", "1/s"),
        "a command cannot open the store",
    ),
    (("stat", "--store", "redis://x", "--throttle", "a", "--id", "b"), "a store keeps no rates"),
    (("rate", "fast"), "not a rate"),
    (("lint", "nowhere:app"), "cannot import nowhere"),
    (("nothing",), "No such command 'nothing'"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES, ids=[" ".join(each[0]) for each in MISTAKES])
def test_a_mistake_gives_a_sentence_and_exit_code_2(arguments, sentence, traffik, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = traffik(*arguments)
    assert said.code == 2
    assert sentence in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
@pytest.mark.parametrize("end", [5, -5, -1])
def test_a_truncated_file_is_an_error(compress, end, traffik, tmp_path, access_log):
    compressed = compress(access_log.read_bytes())
    for before in (b"", compressed):
        (tmp_path / "log").write_bytes(before + compressed[:end])
        said = traffik("replay", tmp_path / "log", "--rate", "1/s")
        assert (said.code, "ended before" in said.err, said.out) == (2, True, "")


def test_every_summary_in_the_help_is_a_whole_sentence(traffik):
    lines = [line for line in traffik("--help").out.partition("Commands:")[2].splitlines() if line]
    assert len(lines) == len(cli.list_commands(Context(cli)))
    assert [line for line in lines if line.endswith("...") or not line.endswith(".")] == []


def test_python_m_traffik_cli_runs_the_command(shell):
    said = shell("--version")
    assert (said.code, said.err) == (0, "")
    assert "traffik, version" in said.out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX signals")
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_ends_it_quietly(jobs):
    command = [sys.executable, "-m", "traffik_cli", "replay", "-", "--rate", "5/s", "--jobs", str(jobs)]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environ, start_new_session=True, **pipes) as process:
        # More than a pipe holds, so the command is running once all is written.
        process.stdin.write(b'1.2.3.4 - - [10/Oct/2025:00:00:00 +0000] "GET / HTTP/1.1" 200 1\n' * 50_000)
        process.stdin.flush()
        time.sleep(0.2)  # so that the signal arrives during the work; the result is the same otherwise
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (130, b"interrupted")


ENOUGH = [("synthetic", "requests=20000"), ("rate", "1/s"), ("schema",), ("--help",)]
ENOUGH += [("replay", "--synthetic", "hours=1,requests=99", "--rate", "1/s", *more) for more in ((), ("--json",))]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX pipes")
@pytest.mark.parametrize("arguments", ENOUGH, ids=" ".join)
def test_a_closed_pipe_is_no_error(arguments):
    ours, theirs = os.pipe()
    os.close(ours)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "traffik_cli", *arguments]
    done = subprocess.run(command, env=environ, stdout=theirs, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(theirs)
    assert (done.returncode, b"Error" in done.stderr, b"Traceback" in done.stderr) == (0, False, False)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX pipes")
@pytest.mark.parametrize("arguments", [("nothing",), ("rate", "fast")], ids=" ".join)
def test_with_a_closed_pipe_a_mistake_still_gives_exit_code_2(arguments):
    ours, theirs = os.pipe()
    os.close(ours)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "traffik_cli", *arguments]
    done = subprocess.run(command, env=environ, stdout=theirs, stderr=theirs, timeout=60, check=False)
    os.close(theirs)
    assert done.returncode == 2
