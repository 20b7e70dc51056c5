"""Pauses of threads."""

from __future__ import annotations

from traffik.limits import timing


def test_a_pause_lasts_its_microseconds(monkeypatch):
    pauses = []
    monkeypatch.setattr(timing.time, "sleep", pauses.append)
    timing.sleep_sync(1_500_000)
    assert pauses == [1.5]
