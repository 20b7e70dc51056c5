"""Reading the times in logs, compared with Python's datetime."""

from __future__ import annotations

import json
from datetime import UTC, timedelta, timezone
from datetime import datetime as moment  # noqa: TID251 - an independent reading of the same times

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik_cli.replay.times import Calendar, bracketed, instant

NOW = 1_760_104_536_000_000
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(moment(1971, 1, 1), moment(2200, 1, 1), timezones=zones)  # noqa: DTZ001 - given a zone there


def micros(when):
    return (when - moment(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@given(moments)
def test_iso_8601_is_read_as_datetime_reads_it(when):
    assert micros(when) == instant(when.isoformat()) == instant(when.isoformat(sep=" "))


@given(moments)
def test_the_time_of_an_access_log_is_read_as_datetime_reads_it(when):
    text = f"{when:%d/%b/%Y:%H:%M:%S %z}"
    assert micros(when.replace(microsecond=0)) == bracketed(f"[{text}]".encode()) == instant(text)


@given(st.integers(0, 4_000_000_000_000_000))
def test_seconds_with_a_fraction_are_read_to_the_microsecond(now):
    assert now == instant(f"{now // 1_000_000}.{now % 1_000_000:06}")


@pytest.mark.parametrize(
    "value",
    [
        1_760_104_536,
        1_760_104_536.0,
        "1760104536",
        1_760_104_536_000,
        "1760104536000",
        1_760_104_536_000_000,
        1_760_104_536_000_000_000,
        "2025-10-10T13:55:36Z",
        "2025-10-10T13:55:36.000000",
        "2025-10-10 15:55:36+02",
        "2025-10-10T13:55:36,000Z",
        "10/Oct/2025:13:55:36 +0000",
        " [10/Oct/2025:13:55:36 +0000] ",
        "10/oct/2025:13:55:36.000 +0000",
        "10/Oct/2025:13:55:36",
        "[2025-10-10T13:55:36+00:00]",
        "2025/10/10 13:55:36",
        "10.10.2025 13:55:36",
        "2025-10-10 13:55:36.000000 UTC",
        "Oct 10, 2025 @ 13:55:36.000",
        "Fri, 10 Oct 2025 13:55:36 GMT",
        "Fri Oct 10 13:55:36 2025",
        "1760104536,000",
        "20251010T135536Z",
        "20251010135536",
        "2025-10-10 1:55:36 PM",
        "2025-10-10 15:55:36 CEST",
        "2025-10-10 13:55:36.000000000 +0000 UTC m=+0.5",
        "2025-10-10T15:55:36+02:00[Europe/Berlin]",
        "Fri Oct 10 2025 15:55:36 GMT+0200 (Central European Summer Time)",
        "Friday, 10-Oct-25 13:55:36 GMT",
        "October 10, 2025 at 1:55:36 PM UTC",
    ],
)
def test_one_instant_is_read_from_many_forms(value):
    assert instant(value) == NOW


@pytest.mark.parametrize(
    "text", ["2025-10-10 13:55:36 CST", "2025-10-10 13:55:36 PM", "0:55:36 AM", "10 Marraskuu 2025 13:55:36", "1,5"]
)
def test_a_time_that_may_mean_several_instants_is_no_time(text):
    assert instant(text) is None


def test_a_date_may_begin_with_the_day_or_with_the_month():
    assert instant("13/10/2025 12:00:00") == instant("10/13/2025, 12:00:00 PM") == instant("2025-10-13 12:00:00")
    assert instant("10/11/2025 12:00:00") is None
    read = [instant("10/11/2025 12:00:00", Calendar(day_first=first)) for first in (True, False)]
    assert read == [instant("2025-11-10 12:00:00"), instant("2025-10-11 12:00:00")]
    assert instant("10/13/2025 12:00:00", Calendar(day_first=True)) is None


@pytest.mark.parametrize(("today", "year"), [((2025, 10, 10), 2025), ((2025, 10, 9), 2025), ((2026, 1, 1), 2025)])
def test_a_time_without_a_year_is_the_latest_in_the_past(today, year):
    assert instant("Oct 10 13:55:36", Calendar(today=today)) == instant(f"{year}-10-10T13:55:36Z")
    assert instant("Oct 10 13:55:36") is None


def test_a_time_without_a_zone_is_in_the_chosen_zone():
    calendar = Calendar(zone=lambda seconds: seconds - 3600)
    assert instant("2025-10-10 14:55:36", calendar) == NOW
    assert instant("2025-10-10 13:55:36Z", calendar) == NOW


@pytest.mark.parametrize("value", ["1970-01-01T00:00:00Z", "01/Jan/1970:00:00:00 +0000", 0, "0", "0.0"])
def test_the_epoch_is_a_valid_time(value):
    assert instant(value) == 0


ABSURD = ["01/Jan/0001:00:00:00 +0100", -99_999_999_999, "9999-12-31T23:59:59-01:00", "1969-12-31T23:59:59Z", -1]
ABSURD += [99_999_999_999, "99999999999.5", "2256-01-01", "1970-01-01T00:00:00+01:00"]


@pytest.mark.parametrize("value", ABSURD)
def test_text_that_is_no_time_of_a_request_gives_none(value):
    assert None is instant(value)


def test_a_line_with_an_absurd_time_is_malformed(replay):
    lines = [b'{"time":%s,"ip":"a"}' % json.dumps(value).encode() for value in (1_760_104_536, *ABSURD)]
    report, (log,) = replay([b"\n".join(lines)], "1/s")
    assert (report.requests, log.malformed) == (1, len(ABSURD))


@pytest.mark.parametrize(
    "value",
    [None, True, [], {}, "", "soon", "2025-13-01T00:00:00Z", "2025-02-30", "1e400", float("inf"), float("nan"), 10**30],
)
def test_text_that_is_no_time_gives_none(value):
    assert None is instant(value)
