"""A log is followed as it grows, is rotated and truncated; a live table shows it, and Ctrl-C ends with the report."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from traffik_cli.following import Followed, Stop, stopping

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals and signals are another matter there")


def line(second):
    return f'192.0.2.1 - - [10/Oct/2025:00:00:{second:02} +0000] "GET /a HTTP/1.1" 200 5\n'


def followed(path, *steps):
    """What is read of a log while steps are taken, one each time that there is nothing to read."""
    stop, left = Stop(), list(steps)

    def moved(taken):
        if taken:
            return
        if not left:
            stop.asked = True
        else:
            left.pop(0)()

    return b"".join(Followed(str(path), stop).blocks(moved))


def test_lines_are_read_as_they_come_and_a_half_one_when_it_is_whole(tmp_path):
    log = tmp_path / "log"
    log.write_text("a\n")

    def add(text):
        with log.open("a") as file:
            file.write(text)

    assert followed(log, lambda: add("b\nhal"), lambda: add("f\nc\n")) == b"a\nb\nhalf\nc\n"


def test_the_next_file_is_read_after_a_rotation(tmp_path):
    log = tmp_path / "log"
    log.write_text("a\nhalf")
    steps = (lambda: log.rename(tmp_path / "log.1"), lambda: log.write_text("b\n"))
    assert followed(log, *steps) == b"a\nhalf\nb\n"


def test_what_is_written_right_before_a_rotation_is_read(tmp_path):
    log = tmp_path / "log"
    log.write_text("a\n")

    def rotate():
        log.write_text("a\nlast\n")
        log.rename(tmp_path / "log.1")
        log.write_text("b\n")

    assert followed(log, rotate) == b"a\nlast\nb\n"


def test_a_truncated_file_is_read_from_its_beginning(tmp_path):
    log = tmp_path / "log"
    log.write_text("long and longer\n")
    assert followed(log, lambda: log.write_text("b\n")) == b"long and longer\nb\n"


def test_a_second_ctrl_c_ends_the_program():
    with stopping() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def watched(log):
    """The command with a terminal for standard error; the terminal, and the process."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "traffik_cli", "replay", str(log), "--rate", "2/min", "--follow", "--json"]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "100", "TERM": "xterm"}
    process = subprocess.Popen([*command, "--window", "0s"], env=environ, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    return ours, process


def shown(terminal, pattern):
    """Read the terminal until it shows the pattern."""
    text = ""
    while not re.search(pattern, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)):
        text += os.read(terminal, 65_536).decode()
    return text


def test_the_table_grows_with_the_log_and_ctrl_c_ends_with_the_report(tmp_path):
    log = tmp_path / "log"
    log.write_text("".join(map(line, range(3))))
    terminal, process = watched(log)
    with process:
        shown(terminal, r"requests +│ 2 ")  # the third waits for what may come before it
        with log.open("a") as file:
            file.write("".join(map(line, range(3, 6))))
        shown(terminal, r"requests +│ 5 [\s\S]*Worst hit by 2/min")
        process.send_signal(signal.SIGINT)
        report = json.loads(process.communicate(timeout=30)[0])
    os.close(terminal)
    assert process.returncode == 0
    assert (report["scenarios"][0]["requests"], report["scenarios"][0]["refused"]) == (6, 4)


def test_standard_input_is_followed_to_its_end(shell):
    said = shell("replay", "-", "--rate", "2/min", "--follow", "--json", given="".join(map(line, range(4))).encode())
    assert (said.code, json.loads(said.out)["scenarios"][0]["refused"]) == (0, 2)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (("a", "b", "--rate", "1/s"), "--follow reads one log"),
        (("a", "--target-refused", "1%"), "--follow keeps no requests"),
        (("a", "--rate", "1/s", "--jobs", "2"), "--follow reads with one process"),
    ],
)
def test_what_cannot_be_followed_is_said(call, why, traffik):
    said = traffik("replay", *call, "--follow")
    assert said.code == 2
    assert why in said.err


def test_a_compressed_log_is_not_followed(traffik, tmp_path):
    (tmp_path / "log.gz").write_bytes(b"\x1f\x8b\x08\x00")
    assert "a compressed log does not grow" in traffik("replay", tmp_path / "log.gz", "--rate", "1/s", "--follow").err
