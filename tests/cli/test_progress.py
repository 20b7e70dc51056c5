"""Progress is shown on a terminal, and nowhere else."""

from __future__ import annotations

import io
import re
import sys

import pytest

from traffik_cli.progress import with_progress
from traffik_cli.replay.synthetic import Traffic
from traffik_cli.sources import Made, Source


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Makes standard error a terminal. (Call it in the test, since pytest replaces standard error before.)"""
    monkeypatch.setenv("TERM", "xterm")

    def replace_stderr():
        found = Terminal()
        monkeypatch.setattr(sys, "stderr", found)
        return found

    return replace_stderr


def test_bytes_and_time_left_are_shown(terminal, access_log):
    screen = terminal()
    with with_progress([Source(str(access_log))], "replay") as moved:
        moved(access_log.stat().st_size)
    assert "replay" in screen.getvalue()
    assert re.search(r"1\.\d/1\.\d MB", screen.getvalue())


def test_a_log_of_unknown_length_shows_bytes_only(terminal):
    screen = terminal()
    with with_progress([Made(Traffic())], "replay") as moved:
        moved(1000)
    assert "replay" in screen.getvalue()
    assert "/?" in screen.getvalue()


def test_without_a_terminal_nothing_is_shown(access_log, capsys):
    with with_progress([Source(str(access_log))], "replay") as moved:
        moved(1)
    assert capsys.readouterr() == ("", "")
