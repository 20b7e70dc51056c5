"""Calendar windows: what a hit and settling do to a key, by example."""

from __future__ import annotations

import pytest

from tests.model.test_calendars import HOUR, micros
from traffik import NEVER, CalendarWindow, HTTPThrottle, Limiter, Penalty, Rate, RateError
from traffik.strategies import Twin, plan

DAY = 24 * HOUR
DAILY = Rate.parse("3/day tz=UTC")
MIDNIGHT = micros(2026, 3, 1)


def window(day, used, era=DAY):
    """The state of a day, as its number from March 1st on."""
    start = MIDNIGHT + day * DAY
    return "calendar", era, start, used, start + DAY


def refused(remaining, wait, reset):
    return False, 3, remaining, wait, reset, DAILY, None


def admitted(remaining, reset):
    return True, 3, remaining, 0, reset, DAILY, None


@pytest.mark.parametrize(
    ("state", "cost", "now", "expected"),
    [
        (None, 0, HOUR, (admitted(3, 0), window(0, 0), 0)),
        (None, 3, HOUR, (admitted(0, 23 * HOUR), window(0, 3), 23 * HOUR)),
        (None, 4, HOUR, (refused(3, NEVER, 0), None, 0)),
        (window(0, 2), 1, 0, (admitted(0, DAY), window(0, 3), DAY)),
        (window(0, 2), 1, DAY - 1, (admitted(0, 1), window(0, 3), 1)),
        (window(0, 2), 2, HOUR, (refused(1, 23 * HOUR, 23 * HOUR), None, 0)),
        (window(0, 2), 3, HOUR, (refused(1, 23 * HOUR, 23 * HOUR), None, 0)),
        (window(0, 2), 4, HOUR, (refused(1, NEVER, 23 * HOUR), None, 0)),
        (window(0, 5), 0, HOUR, (refused(0, 23 * HOUR, 23 * HOUR), None, 0)),
        (window(0, 3), 1, DAY, (admitted(2, DAY), window(1, 1), DAY)),
        # The clock has gone back.
        (window(1, 2), 1, 0, (admitted(0, 2 * DAY), window(1, 3), 2 * DAY)),
        (window(1, 2), 2, 0, (refused(1, 2 * DAY, 2 * DAY), None, 0)),
        (window(1, 2), 1, -1, (admitted(0, 1), window(-1, 3), 1)),
        (window(1, 2), 2, -1, (refused(1, 1, 1), window(-1, 2), 1)),
        # The unit was a week.
        (window(0, 2, era=7 * DAY), 1, HOUR, (admitted(0, 23 * HOUR), window(0, 3), 23 * HOUR)),
        (window(-7, 2, era=7 * DAY), 1, 0, (admitted(2, DAY), window(0, 1), DAY)),
        (window(-7, 2, era=7 * DAY), 1, -1, (admitted(0, 1), window(-1, 3), 1)),
        (window(1, 2, era=7 * DAY), 1, 0, (admitted(0, 2 * DAY), window(1, 3), 2 * DAY)),
    ],
)
def test_a_hit_counts_in_the_window_around_it(state, cost, now, expected):
    kernel = CalendarWindow().prepare(DAILY)
    for before in (0, now):  # the windows of earlier hits are remembered
        kernel(None, 1, MIDNIGHT + before)
        assert kernel(state, cost, MIDNIGHT + now) == expected
    assert CalendarWindow().decide(state, DAILY, cost, MIDNIGHT + now) == expected


@pytest.mark.parametrize(
    ("state", "delta", "receipt", "now", "expected"),
    [
        (None, -1, None, HOUR, (None, 0, 0)),
        (None, 2, None, HOUR, (window(0, 2), 23 * HOUR, 2)),
        (window(0, 2), 1, None, HOUR, (window(0, 3), 23 * HOUR, 1)),
        (window(0, 6), 1, None, HOUR, (None, 0, 0)),
        (window(0, 2), 7, None, HOUR, (window(0, 6), 23 * HOUR, 4)),  # up to twice the limit
        (window(0, 2), 0, None, HOUR, (None, 0, 0)),
        (window(0, 2), -1, None, HOUR, (window(0, 1), 23 * HOUR, -1)),
        (window(0, 2), -1, (MIDNIGHT,), HOUR, (window(0, 1), 23 * HOUR, -1)),
        (window(0, 2), -3, (MIDNIGHT,), HOUR, (window(0, 0), 23 * HOUR, -2)),
        (window(0, 2), -1, (MIDNIGHT - DAY,), HOUR, (None, 0, 0)),
        (window(0, 2), -1, None, DAY, (None, 0, 0)),  # the window has ended
        (window(1, 2), -1, None, 0, (window(1, 1), 2 * DAY, -1)),
        (window(1, 2), -1, None, -1, (window(-1, 1), 1, -1)),
    ],
)
def test_units_are_settled_exactly(state, delta, receipt, now, expected):
    settled = CalendarWindow().settle(state, DAILY, delta, receipt, MIDNIGHT + now)
    assert (settled.state, settled.ttl, settled.applied) == expected
    left = CalendarWindow().decide(settled.state or state, DAILY, 0, MIDNIGHT + now).decision.remaining
    assert settled.decision.remaining == left


def test_the_receipt_is_the_start_of_the_window():
    assert CalendarWindow().receipt(None, window(3, 1), DAILY) == (MIDNIGHT + 3 * DAY,)


def test_the_twin_has_the_limit_and_the_longest_period():
    assert CalendarWindow().twin(DAILY) == Twin("calendar_window", (3, DAY))


def test_a_window_may_begin_at_the_time_0():
    assert CalendarWindow().decide(None, DAILY, 1, 0).state == ("calendar", DAY, 0, 1, DAY)


def test_a_limit_whose_numbers_are_too_large_is_an_error():
    assert CalendarWindow().twin(Rate.parse(f"{2**52 - 1}/day tz=UTC")).numbers == (2**52 - 1, DAY)
    with pytest.raises(RateError, match="exactly"):
        CalendarWindow().prepare(Rate.parse(f"{2**52}/day tz=UTC"))


def test_months_of_the_same_unit_end_on_time():
    monthly = Rate.parse("3/month tz=UTC")
    _, state, _ = CalendarWindow().prepare(monthly)(None, 3, micros(2026, 2, 1))
    assert CalendarWindow().decide(state, monthly, 1, micros(2026, 3, 1)).decision.remaining == 2


@pytest.mark.parametrize(
    ("state", "now", "remaining"),
    [(None, 0, 3), (window(1, 2), 0, 1), (window(0, 2), DAY - 1, 1), (window(0, 2), DAY, 3)],
)
def test_a_rate_that_counts_no_more_counts_in_the_window_of_its_state(state, now, remaining):
    kernel = CalendarWindow().prepare_former(DAILY)
    assert kernel(state, 0, MIDNIGHT + now)[0].remaining == remaining
    _, changed, ttl = kernel(state, 1, MIDNIGHT + now)
    end = MIDNIGHT + now if state is None else state[4]
    assert (changed[1], changed[3:], ttl) == (DAY, (4 - remaining, end), end - MIDNIGHT - now)
    assert kernel(state, 4, MIDNIGHT + now)[1:] == (None, 0)


def test_the_header_states_no_window_since_months_differ():
    assert HTTPThrottle("plan", "3/month")._own_policies.field == '"plan";q=3'


def test_a_rate_without_a_calendar_period_is_an_error():
    with pytest.raises(RateError, match=r"counts calendar periods, not '3/min'"):
        plan(CalendarWindow(), [Rate.parse("3/min")])


def test_bans_with_calendar_periods_are_an_error():
    with pytest.raises(RateError, match=r"Penalty\(.*cannot count the calendar period of '3/month tz=UTC'"):
        Limiter("wrong", "3/month", strategy=Penalty())
