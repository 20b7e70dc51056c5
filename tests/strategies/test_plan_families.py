"""Plans that go on from each other's states, and plans on another clock, by example."""

from __future__ import annotations

import pytest

from tests.model.test_calendars import HOUR, micros
from traffik import CalendarWindow, Decision, FixedWindow, SlidingWindow, Transition
from traffik.model.rates import parse_rates
from traffik.strategies import plan
from traffik.strategies.base import EXACT

DAY, MINUTE = 24 * HOUR, 60_000_000
START = micros(2026, 3, 1, 6)
MIDNIGHT = START - 6 * HOUR


class Plain:
    """A user's strategy that only decides."""

    def decide(self, state, rate, cost, now):
        return Transition(Decision(True, rate.limit, 0), None, 0)


def plan_of(rates, strategy=None, *, varying=False):
    return plan(strategy or FixedWindow(), parse_rates(rates), varying=varying)


ONE, SEVERAL = "traffik.strategies.fixed_window.FixedWindow:1", "traffik.strategies.fixed_window.FixedWindow:*"
CALENDAR = "traffik.strategies.calendar_window.CalendarWindow:1"


@pytest.mark.parametrize(
    ("rates", "varying", "several", "family", "siblings"),
    [
        ("5/min", False, False, ONE, {SEVERAL}),
        ("5/day tz=UTC", False, False, CALENDAR, {SEVERAL}),
        ("5/min", True, True, SEVERAL, {ONE, CALENDAR}),
        ("5/day tz=UTC", True, True, SEVERAL, {ONE, CALENDAR}),
        ("5/min; 9/hour", False, True, SEVERAL, {ONE, CALENDAR}),
        ("5/day tz=UTC; 9/hour", False, True, SEVERAL, {ONE, CALENDAR}),
        ("unlimited", False, True, SEVERAL, {ONE, CALENDAR}),
    ],
)
def test_stores_know_the_states_of_a_plan_by_its_family(rates, varying, several, family, siblings):
    made = plan_of(rates, varying=varying)
    assert (made.several, made.family, made.siblings) == (several, family, siblings)


def test_a_state_goes_on_for_a_plan_with_another_number_of_rates():
    one, two, day = map(plan_of, ("5/min", "9/hour; 5/min; 7/day tz=UTC", "7/day tz=UTC"))
    assert two.from_sibling(("m",)) == (two.turns.text, (), ("m",), ("m",), None)
    assert two.from_sibling(("calendar", 1)) == (two.turns.text, (), None, None, ("calendar", 1))
    state = two.turns.text, (), ("h",), ("m",), ("calendar", 1)
    assert (one.from_sibling(state), day.from_sibling(state)) == (("m",), ("calendar", 1))
    assert plan_of("9/day tz=UTC").from_sibling(one_hour := ("9/hour", (), ("h",))) is None
    assert plan_of("9/min").from_sibling(one_hour) == ("h",)


def test_a_hit_is_settled_by_the_receipts_of_the_rates_that_counted_it():
    ours, theirs = plan_of("9/hour; 5/min; 7/day tz=UTC"), plan_of("5/min; 8/s")
    assert ours.receipts_from(theirs, [(1,), (2,)]) == ((2,), (1,), ())
    assert ours.receipts_from(theirs, [(1,)]) == ((), (1,), ())
    assert ours.receipts_from(plan_of("5/min; 8/s", SlidingWindow()), [(1,), (2,)]) == ((), (), ())


class Shift:
    """How much later the calendar is than the clock of the store."""

    def __init__(self, micros):
        self.micros = micros

    def __call__(self):
        return self.micros


def day(used):
    """The part of a calendar day with so many units."""
    return "calendar", DAY, MIDNIGHT, used, MIDNIGHT + DAY


def test_on_another_clock_only_calendar_periods_are_shifted():
    shift = Shift(0)
    made = plan_of("3/day tz=UTC; 5/min").shifted(shift)
    shift.micros = START - 1000
    decision, state, ttl = made.kernel(None, 3, 1000)
    assert (decision.rate, decision.reset_after, ttl) == (made.rates[0], 18 * HOUR, 18 * HOUR)
    assert state == (made.turns.text, (), day(3), (MINUTE, 1000, 3))
    assert made.kernel(state, 1, 1000)[0].retry_after == 18 * HOUR
    settled = made.settle(state, -2, made.receipt(None, state), 2000)
    assert (settled.state[2:], settled.ttl) == ((day(1), (MINUTE, 1000, 1)), 18 * HOUR - 1000)
    charged = made.settle(None, 2, None, 1000)
    assert charged.state[2:] == (day(2), (MINUTE, 1000, 2))


def test_on_another_clock_a_plan_with_one_rate_still_has_one():
    made = plan_of("3/day tz=UTC").shifted(Shift(START))
    assert made.kernel(None, 1, 0)[1] == made.kernels[0](None, 1, 0)[1] == day(1)
    assert made.settle(day(2), -1, ((MIDNIGHT,),), 0).state == day(1)
    assert made.settle(day(2), -1, ((MIDNIGHT - DAY,),), 0).applied == 0


@pytest.mark.parametrize("shift", [0, 2 * DAY])
def test_on_another_clock_a_former_calendar_period_is_shifted_too(shift):
    made = plan_of("5/min", varying=True).shifted(Shift(shift))
    now = START - shift
    former = (("3/day tz=UTC", now + DAY, day(1)), ("9/hour", now + DAY, (HOUR, now, 1)))
    state, ttl = made.kernel((made.turns.text, former, None), 1, now)[1:]
    after = (("3/day tz=UTC", now + 18 * HOUR, day(2)), ("9/hour", now + HOUR, (HOUR, now, 2)))
    assert (state[1], ttl) == (after, 18 * HOUR)
    assert made.settle((made.turns.text, former, None), 1, None, now).state[1] == after


def test_a_former_calendar_period_opens_no_other_window():
    made = plan_of("5/min", varying=True)
    state = made.turns.text, (("3/day tz=UTC", EXACT, day(1)),), None
    assert made.kernel(state, 1, START - 2 * DAY)[1][1] == (("3/day tz=UTC", MIDNIGHT + DAY, day(2)),)


def test_on_another_clock_a_plan_that_cannot_settle_still_cannot():
    assert not plan_of("3/day tz=UTC; 5/min", Plain()).shifted(Shift(0)).settles


def test_a_plan_counts_calendar_periods_by_the_calendar():
    made = plan_of("3/day tz=UTC; 5/min", Plain())
    assert isinstance(made.strategies[0], CalendarWindow)
    assert (made.calendar, plan_of("5/min").calendar) == (True, False)
