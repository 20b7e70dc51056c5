"""Somebody who watches sees how far it is; nobody else does."""

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
    """Sit down at one. (In the test itself: before that pytest puts its own standard error there.)"""
    monkeypatch.setenv("TERM", "xterm")

    def sit_down():
        found = Terminal()
        monkeypatch.setattr(sys, "stderr", found)
        return found

    return sit_down


def test_bytes_and_time_left_are_shown(terminal, access_log):
    screen = terminal()
    with with_progress([Source(str(access_log))], "replay") as moved:
        moved(access_log.stat().st_size)
    assert "replay" in screen.getvalue()
    assert re.search(r"1\.\d/1\.\d MB", screen.getvalue())


def test_a_log_of_unknown_length_is_followed_too(terminal):
    screen = terminal()
    with with_progress([Made(Traffic())], "replay") as moved:
        moved(1000)
    assert "replay" in screen.getvalue()
    assert "/?" in screen.getvalue()


def test_where_nobody_watches_nothing_is_shown(access_log, capsys):
    with with_progress([Source(str(access_log))], "replay") as moved:
        moved(1)
    assert capsys.readouterr() == ("", "")
