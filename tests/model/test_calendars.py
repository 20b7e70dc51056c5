"""Calendar periods: where they begin and end, also on the days on which the clocks change."""

from __future__ import annotations

from datetime import datetime, timedelta  # noqa: TID251 - the calendar to compare with
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import Rate, RateError
from traffik.model.calendars import LONGEST, CalendarPeriod

UTC = ZoneInfo("UTC")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR = 3_600_000_000
ZONES = [
    *("Europe/Berlin", "Europe/London", "America/New_York", "America/Sao_Paulo", "America/Havana"),
    *("Australia/Lord_Howe", "Asia/Tehran", "Africa/Cairo", "Pacific/Apia", "Asia/Kathmandu"),
]
UNITS = list(LONGEST)


def micros(*date, zone="UTC"):
    return (datetime(*date, tzinfo=ZoneInfo(zone)) - EPOCH) // MICROSECOND


@pytest.mark.parametrize(
    ("unit", "start", "end"),
    [
        ("day", (2026, 2, 28), (2026, 3, 1)),
        ("week", (2026, 2, 23), (2026, 3, 2)),
        ("month", (2026, 2, 1), (2026, 3, 1)),
        ("year", (2026, 1, 1), (2027, 1, 1)),
    ],
)
def test_a_period_begins_at_midnight_in_its_zone(unit, start, end):
    now = micros(2026, 2, 28, 23, 30, zone="Europe/Berlin")
    period = CalendarPeriod(unit, "Europe/Berlin").at(now)
    assert period == (micros(*start, zone="Europe/Berlin"), micros(*end, zone="Europe/Berlin"))


def test_a_day_has_23_or_25_hours_when_the_clocks_change():
    days = [
        CalendarPeriod("day", "Europe/Berlin").at(micros(2026, month, day, 12)) for month, day in ((3, 29), (10, 25))
    ]
    assert [end - start for start, end in days] == [23 * HOUR, 25 * HOUR]


@pytest.mark.parametrize("zone", ZONES)
def test_days_follow_one_another_over_ten_years_and_begin_on_their_date(zone):
    calendar, now, last = CalendarPeriod("day", zone), micros(2015, 1, 1, 12), micros(2025, 1, 1)
    starts = []
    while now < last:
        start, end = calendar.at(now)
        starts.append(start)
        assert calendar.at(start) == calendar.at(end - 1) == (start, end)
        now = end
    starts = starts[1:]
    local = [(EPOCH + start * MICROSECOND).astimezone(ZoneInfo(zone)) for start in starts]
    assert all(one.date() < two.date() for one, two in pairwise(local))
    # If midnight does not exist, the day begins at the first instant after it.
    assert all(one.hour <= 1 for one in local)
    assert {two - one for one, two in pairwise(starts)} <= {hours * HOUR // 2 for hours in (46, 47, 48, 49, 50)}


@pytest.mark.parametrize("hour", [0, 23])
def test_the_periods_around_an_instant_are_the_one_before_it_and_those_after(hour):
    starts = CalendarPeriod("month", "Europe/Berlin").around(micros(2026, 3, 31, hour, zone="Europe/Berlin"))
    assert starts == tuple(micros(2026, month, 1, zone="Europe/Berlin") for month in (2, 3, 4, 5, 6))
    first = CalendarPeriod("month", "Europe/Berlin").around(starts[1])
    assert first == starts


@given(st.sampled_from(ZONES), st.sampled_from(UNITS), st.integers(0, micros(2100, 1, 1)))
def test_every_instant_is_in_its_period(zone, unit, now):
    start, end = CalendarPeriod(unit, zone).at(now)
    assert start <= now < end
    assert CalendarPeriod(unit, zone).at(end)[0] == end


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("America/Toronto", (1919, 3, 31)),  # from 23:30 to 00:30
        ("America/St_Johns", (1987, 10, 25)),  # from 00:01 back to 23:01
    ],
)
def test_a_day_ends_once_when_the_clocks_change_across_midnight(zone, midnight):
    day, border = CalendarPeriod("day", zone), micros(*midnight, zone=zone)
    (before,) = {day.at(border - minutes * HOUR // 60) for minutes in (61, 31, 1)}
    (after,) = {day.at(border + minutes * HOUR // 60) for minutes in (0, 1, 31, 61)}
    assert before[1] == border == after[0]


class TestText:
    @pytest.mark.parametrize(
        ("text", "limit", "unit", "zone"),
        [
            ("10000/month tz=Europe/Berlin", 10_000, "month", "Europe/Berlin"),
            ("1,000 requests per month", 1000, "month", "UTC"),
            ("5/day tz=America/New_York", 5, "day", "America/New_York"),
            ("5 per week tz=UTC", 5, "week", "UTC"),
            ("5/Year", 5, "year", "UTC"),
        ],
    )
    def test_a_calendar_rate_is_parsed(self, text, limit, unit, zone):
        rate = Rate.parse(text)
        assert (rate.limit, rate.period, rate.calendar) == (limit, LONGEST[unit], CalendarPeriod(unit, zone))
        assert Rate.parse(str(rate)) == rate

    def test_a_day_without_a_zone_is_24_hours(self):
        assert Rate.parse("5/day").calendar is None
        assert Rate.parse("5/day") != Rate.parse("5/day tz=UTC")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("5/month tz=Mars/Base", "'Mars/Base' is not a time zone"),
            ("5/month tz=../etc/passwd", "not a rate"),
            ("5/2months", "a calendar period is a single one"),
            ("5/min tz=UTC", "'min' is not a calendar period"),
            ("5/day tz=", "not a rate"),
        ],
    )
    def test_invalid_text_is_an_error_that_shows_it(self, text, words):
        with pytest.raises(RateError, match=words):
            Rate.parse(text)


def test_the_times_of_periods_are_integers_as_stores_need_them():
    assert {type(each) for each in CalendarPeriod("month", "Europe/Berlin").around(0)} == {int}
