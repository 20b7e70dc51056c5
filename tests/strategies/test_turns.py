"""How rates that take turns find their parts, and what a hit does to former rates, by example."""

from __future__ import annotations

import pytest

from traffik import NEVER, Decision, FixedWindow, Rate, RateError, SlidingWindow
from traffik.model.calendars import CalendarPeriod
from traffik.model.rates import parse_rates
from traffik.strategies import plan
from traffik.strategies import turns as module
from traffik.strategies.base import EXACT
from traffik.strategies.turns import Turns, as_one_kernel, matches

DAY, WEEK = CalendarPeriod("day"), CalendarPeriod("week")
START = 1_700_000_000_000_000


@pytest.mark.parametrize(
    ("wanted", "stored", "places", "same"),
    [
        ([60, 10], [10, 60], [1, 0], {0, 1}),
        ([10, 10], [10, 10], [0, 1], {0, 1}),
        ([10, 10], [10], [0, 0], {0}),
        ([5, 10], [10, 60], [1, 0], {0}),  # the others are free
        ([5, 6], [10, 60], [0, 1], set()),
        ([5, 10, 6], [10], [0, 0, 0], {0}),  # none is free
        ([5, 6, 7], [10, 60], [0, 1, 0], set()),
        ([WEEK, DAY], [10, DAY], [1, 1], {1}),
        ([WEEK, 5], [10, DAY], [1, 0], set()),
        ([DAY], [10], [None], set()),
        ([5, DAY, 6], [DAY], [None, 0, None], {0}),
        ([5, DAY], [None], [None, None], set()),
        ([5, 6], [None, 10], [1, 1], set()),
        ([], [10], [], set()),
    ],
)
def test_a_rate_goes_on_from_the_part_of_its_period_or_of_its_kind(wanted, stored, places, same):
    assert matches(wanted, stored) == (places, same)


def no_kernel(rate):
    raise RateError(f"{rate} cannot be counted")


def turns_of(text, kernel_of=no_kernel):
    return Turns(parse_rates(text), kernel_of)


FORMER = ("9/hour", 77, ("h",))


@pytest.mark.parametrize(
    ("state", "parts", "former"),
    [
        (None, (None, None), ()),
        (("5/min; 7/s", (FORMER,), ("m",), ("s",)), (("m",), ("s",)), (FORMER,)),
        (("7/s; 5/min", (), ("s",), ("m",)), (("m",), ("s",)), ()),
        (("7/s", (FORMER,), ("s",)), (("h",), ("s",)), (FORMER,)),
        (("8/s", (("4/min", 88, ("m",)), FORMER), ("s",)), (("m",), ("s",)), (FORMER,)),
        (("9/hour", (("4/min", 88, ("m",)),), ("h",)), (("m",), ("h",)), (("9/hour", EXACT, ("h",)),)),
        (
            ("1/3s; 2/2s", (FORMER,), ("a",), ("b",)),
            (("a",), ("b",)),
            (("1/3s", EXACT, ("a",)), ("2/2s", EXACT, ("b",)), FORMER),
        ),
        (("8/day tz=UTC", (), ("d",)), (None, None), (("8/day tz=UTC", EXACT, ("d",)),)),
        (("8/day tz=Mars/Olympus", (), ("d",)), (None, None), (("8/day tz=Mars/Olympus", EXACT, ("d",)),)),
    ],
)
def test_a_state_is_read_by_its_periods(state, parts, former):
    turns = turns_of("5/min; 7/s", lambda _: None)
    turns.read(("7/s", (), ("x",)))  # remembers the places of others
    for _ in range(2):
        assert turns.read(state) == (parts, former)


def test_a_rate_that_cannot_be_counted_gives_its_part_to_no_other():
    turns = turns_of("5/min")
    assert turns.read(("9/hour", (), ("h",))) == ((None,), (("9/hour", EXACT, ("h",)),))
    assert turns.charged((FORMER,), 1, 0) == ((), 0)


def test_the_places_and_kernels_of_the_same_rates_are_found_once(monkeypatch):
    found, made = [], []
    monkeypatch.setattr(module, "matches", lambda *periods: found.append(periods) or matches(*periods))
    turns = turns_of("5/min; 7/s", made.append)
    for part in range(3):
        assert turns.read(("7/s", (), (part,))) == (((part,), (part,)), ())
        assert turns.read(("7/s", (FORMER,), (part,))) == ((("h",), (part,)), (FORMER,))
    assert len(found) == 2
    assert made == [*parse_rates("7/s; 9/hour")]


def test_only_so_many_rates_and_places_are_remembered():
    turns, most = turns_of("5/min", lambda _: None), 0
    for limit in range(1, 2200):
        turns.read((f"{limit}/hour", (), ("h",)))
        most = max(most, len(turns._known), len(turns._places))
    assert most == 1000


def test_a_part_of_a_plan_with_one_rate_goes_to_all_rates_of_its_kind():
    turns = turns_of("5/min; 7/day tz=UTC; 9/hour")
    assert turns.adopt(("x",), int) == (turns.text, (), ("x",), None, ("x",))
    assert turns.adopt(("x",), CalendarPeriod) == (turns.text, (), None, ("x",), None)


MINUTE, HOUR = 60_000_000, 3_600_000_000


@pytest.fixture
def hourly():
    """The turns of 5/min, beside former rates in fixed windows."""
    return turns_of("5/min", FixedWindow().prepare)


def counted(used):
    """The part of 9/hour after a hit of `used` units."""
    return FixedWindow().prepare(Rate.parse("9/hour"))(None, used, START)[1]


@pytest.mark.parametrize(
    ("used", "until", "cost", "now", "after", "kept"),
    [
        (3, EXACT, 2, 0, 5, HOUR),
        (3, EXACT, 2, MINUTE, 5, HOUR - MINUTE),
        (3, EXACT, 0, MINUTE, 3, HOUR - MINUTE),
        (3, EXACT, 8, 0, 9, HOUR),  # up to its limit
        (9, EXACT, 8, 0, 9, HOUR),
        (3, START + 2 * MINUTE, 1, MINUTE, 4, MINUTE),
        (3, START + MINUTE + 1, 1, MINUTE, 4, 1),
        (3, START + MINUTE, 1, MINUTE, None, 0),
        (3, EXACT, 1, HOUR - 1, 4, 1),
        (3, EXACT, 1, HOUR, None, 0),  # its window has ended
        (3, START + MINUTE, 1, -MINUTE, 4, 2 * MINUTE),  # the clock has gone back
    ],
)
def test_a_hit_is_charged_to_former_rates_while_they_count(hourly, used, until, cost, now, after, kept):
    former, longest = hourly.charged((("9/hour", until, counted(used)),), cost, START + now)
    expected = () if after is None else (("9/hour", START + now + kept, counted(after)),)
    assert (former, longest) == (expected, kept)


def test_a_former_rate_that_admits_nothing_keeps_its_part():
    turns = turns_of("5/min", lambda _: answering(True, 0, 0, 9, ("changed",), 9))
    assert turns.charged((("9/hour", EXACT, ("h",)),), 1, START) == ((("9/hour", START + 9, ("h",)),), 9)


def test_former_rates_are_kept_for_as_long_as_the_one_that_counts_longest(hourly):
    former = (
        ("9/hour", START + 5, counted(1)),
        ("no rate", 9, None),
        ("8/hour", START + 7, None),
        ("9/hour", START, counted(3)),
        ("9/hour", START + 3, counted(2)),
    )
    assert hourly.charged(former, 0, START) == ((former[0], former[4]), 5)


def test_sixteen_former_rates_are_kept(hourly):
    former = tuple(("9/hour", START + number, counted(1)) for number in range(1, 20))
    assert hourly.charged(former, 0, START) == (former[:16], 16)


def answering(allowed, remaining, wait=0, reset=0, changed=None, ttl=0):
    """A kernel that gives one answer; the limit is its number."""
    return lambda state, cost, now: (Decision(allowed, 0, remaining, wait, reset), changed, ttl)


PAIR = "5/min; 7/s"


@pytest.mark.parametrize(
    ("kernels", "expected"),
    [
        # All admit: the one with the fewest units left binds, the first if equal.
        ([(True, 4, 0, 9, ("a",), 30), (True, 3, 0, 8, ("b",), 20)], ((True, 0, 3, 0, 8), (("a",), ("b",)), 30)),
        ([(True, 3, 0, 9, ("a",), 20), (True, 3, 0, 8, ("b",), 30)], ((True, 0, 3, 0, 9), (("a",), ("b",)), 30)),
        ([(True, 3, 0, 0, ("a",), 0), (True, 3, 0, 0, ("b",), 0)], ((True, 0, 3, 0, 0), (("a",), ("b",)), 0)),
        # One refuses: the other has not been charged.
        ([(True, 1, 0, 9, ("a",), 30), (False, 4, 6, 8)], ((False, 0, 3, 6, 8), None, 0)),
        ([(False, 2, 6, 8), (True, 1, 0, 9, ("a",), 30)], ((False, 0, 2, 6, 8), None, 0)),
        # Both refuse: the longest wait binds.
        ([(False, 1, 6, 8), (False, 0, NEVER, 7)], ((False, 0, 0, NEVER, 7), None, 0)),
        ([(False, 0, 9, 8), (False, 1, 6, 7)], ((False, 0, 0, 9, 8), None, 0)),
        # The clock has gone far back for one of them.
        ([(False, 0, 9, 8, ("x",), 40), (True, 1, 0, 9, ("a",), 30)], ((False, 0, 0, 9, 8), (("x",), ("old", 2)), 40)),
        ([(False, 0, 9, 8, ("x",), 20), (True, 1, 0, 9, ("a",), 30)], ((False, 0, 0, 9, 8), (("x",), ("old", 2)), 30)),
        ([(False, 0, 9, 8, ("x",), 5), (False, 1, 6, 7)], ((False, 0, 0, 9, 8), (("x",), ("old", 2)), 7)),
    ],
)
def test_several_rates_decide_as_one(kernels, expected):
    turns = turns_of(PAIR)
    kernel = as_one_kernel([answering(*each) for each in kernels], turns)
    decision, state, ttl = kernel((PAIR, (), ("old", 1), ("old", 2)), 2, START)
    parts = expected[1] and (PAIR, (), *expected[1])
    assert ((*decision[:5],), state, ttl) == ((*expected[0],), parts, expected[2])


def test_several_rates_go_on_from_the_state_of_others():
    def keeping(state, cost, now):
        return Decision(True, 0, 9), state, 0

    kernel = as_one_kernel([keeping, keeping], turns_of(PAIR, lambda _: keeping))
    assert kernel(("7/s; 5/min", (), ("s",), ("m",)), 1, START)[1] == (PAIR, (), ("m",), ("s",))
    assert kernel(None, 1, START)[1] == (PAIR, (), None, None)


def test_a_state_of_a_zone_that_this_machine_does_not_know_counts_as_none():
    here, there = (plan(SlidingWindow(), parse_rates(rate), varying=True) for rate in ("9/hour", "9/day tz=Asia/Tokyo"))
    text, *rest = there.kernel(None, 1, START)[1]
    state = (text.replace("Asia/Tokyo", "Mars/Olympus"), *rest)
    assert here.kernel(state, 1, START) == here.kernel(None, 1, START)


def test_a_hit_is_charged_to_former_rates_and_a_refused_one_is_not(hourly):
    former = (("9/hour", EXACT, counted(3)),)
    admitting, refusing = answering(True, 4, 0, 9, ("a",), 30), answering(False, 0, 9, 8, ("x",), 40)
    state = ("5/min", former, ("old",))
    until = START + HOUR
    after = "5/min", (("9/hour", until, counted(5)),), ("a",)
    assert as_one_kernel([admitting], hourly)(state, 2, START)[1:] == (after, HOUR)
    moved_back = "5/min", (("9/hour", until, counted(3)),), ("x",)
    assert as_one_kernel([refusing], hourly)(state, 2, START)[1:] == (moved_back, HOUR)
    long = answering(True, 4, 0, 9, ("a",), 2 * HOUR), answering(False, 0, 9, 8, ("x",), 2 * HOUR)
    assert [as_one_kernel([each], hourly)(state, 2, START)[2] for each in long] == [2 * HOUR] * 2
