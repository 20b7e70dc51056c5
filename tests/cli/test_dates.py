"""Dates between slashes begin with the day or with the month: the log shows it, or the user says it."""

from __future__ import annotations

import json

import pytest

ROWS = "time,ip\n" + "".join(f"{{}}/2025 {hour}:00:00 PM,203.0.113.7\n" for hour in (1, 2, 3))


@pytest.mark.parametrize(
    ("dates", "options", "first"),
    [
        (("10/12", "10/12", "10/13"), (), "2025-10-12"),
        (("12/10", "12/10", "13/10"), (), "2025-10-12"),
        (("10/11", "10/11", "10/12"), ("--month-first",), "2025-10-11"),
        (("10/11", "10/11", "11/11"), ("--day-first",), "2025-11-10"),
    ],
)
def test_dates_are_read_as_the_log_or_the_user_says(dates, options, first, traffik, tmp_path):
    (tmp_path / "log.csv").write_text(ROWS.format(*dates))
    said = traffik("replay", tmp_path / "log.csv", "--rate", "1/s", *options)
    assert f"such as {first} 13:00:00 UTC in " in said.out


def test_dates_that_may_mean_two_days_are_refused(traffik, tmp_path):
    (tmp_path / "log.csv").write_text(ROWS.format("10/11", "10/11", "11/11"))
    said = traffik("replay", tmp_path / "log.csv", "--rate", "1/s")
    assert said.code == 2
    assert "comes first in time, such as '10/11/2025 1:00:00 PM': give --day-first or --month-first" in said.err


@pytest.mark.parametrize(
    ("time", "expected"),
    [("2025-10-10 01:00:00 PM", 13), ("2025-10-10 15:00:00 CEST", 13), ("2025-10-10 09:00 EDT", 13)],
)
def test_nothing_behind_a_time_is_passed_over(time, expected, traffik, tmp_path):
    (tmp_path / "log.csv").write_text(f"time,ip\n{time},203.0.113.7\n")
    found = json.loads(traffik("replay", tmp_path / "log.csv", "--rate", "1/s", "--json").out)
    assert found["scenarios"][0]["first"] == 1_760_101_200_000_000
