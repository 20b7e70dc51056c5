"""What a hit and settling do to a key with bans, by example. Times are in seconds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from traffik import NEVER, Penalty, Rate, RateError

SECOND = 1_000_000
ZERO = 1_700_000_000 * SECOND
RATE = Rate(3, 10 * SECOND)
BANS = Penalty(base="10s", factor=3, longest="60s", forget="100s")
SHORT = Penalty(base="1s", longest="2s", forget="1s")
ONCE = Penalty(base="1s", factor=1, forget="100s")


def at(seconds):
    return ZERO + round(seconds * SECOND)


def window(*pairs, before=0):
    """The state of a window with these moments, each with the running count after it."""
    *rest, (last, count) = [(at(time), count) for time, count in pairs]
    return RATE.period, before, last, count, tuple(number for pair in rest for number in pair) or None


def bans(count, since, until, inner):
    return count, at(since), at(until), inner


def free(inner):
    """A key without bans."""
    return 0, 0, 0, inner


def charged(count, until, inner):
    """A key with a ban that units charged in any case have started."""
    return count, -1, at(until), inner


def admitted(left, reset):
    return True, 3, left, 0, round(reset * SECOND), RATE, None


def refused(left, wait, reset):
    return False, 3, left, wait if wait == NEVER else round(wait * SECOND), round(reset * SECOND), RATE, None


FULL = window((0, 3))
BANNED = bans(1, 0, 10, FULL)
TICK = 0.000001


@pytest.mark.parametrize(
    ("strategy", "state", "cost", "now", "expected"),
    [
        (BANS, None, 0, 0, (admitted(3, 0), free(window((0, 0))), 0)),
        (BANS, None, 1, 0, (admitted(2, 10), free(window((0, 1))), 10)),
        (BANS, None, 4, 0, (refused(3, NEVER, 0), None, 0)),
        (BANS, free(window((0, 2))), 2, 1, (refused(1, 9, 9), None, 9)),
        (BANS, free(FULL), 0, 4, (admitted(0, 6), free(FULL), 6)),
        # The hit that takes the last unit starts a ban.
        (BANS, None, 3, 0, (admitted(0, 10), BANNED, 110)),
        (BANS, free(window((0, 2))), 1, 4, (admitted(0, 10), bans(1, 4, 14, window((0, 2), (4, 3))), 110)),
        (BANS, BANNED, 3, 10, (admitted(0, 30), bans(2, 10, 40, window((10, 3))), 130)),
        (BANS, bans(2, 0, 30, FULL), 3, 30, (admitted(0, 60), bans(3, 30, 90, window((30, 3))), 160)),
        (BANS, bans(3, 0, 60, FULL), 3, 60, (admitted(0, 60), bans(4, 60, 120, window((60, 3))), 160)),
        (BANS, bans(4, 0, 60, FULL), 3, 60, (admitted(0, 60), bans(4, 60, 120, window((60, 3))), 160)),
        (ONCE, bans(1, 0, 1, FULL), 3, 10, (admitted(0, 10), bans(2, 10, 11, window((10, 3))), 101)),
        # It refuses until it is over and the window has room.
        (BANS, BANNED, 0, 4, ((True, *refused(0, 0, 6)[1:]), BANNED, 106)),
        (BANS, BANNED, 1, 4, (refused(0, 6, 6), None, 106)),
        (BANS, bans(1, 0, 10, window((0, 2))), 1, 4, (refused(0, 6, 6), None, 106)),
        (BANS, BANNED, 4, 4, (refused(0, NEVER, 6), None, 106)),
        (BANS, BANNED, 1, 10 - TICK, (refused(0, TICK, TICK), None, 100 + TICK)),
        (BANS, BANNED, 1, 10, (admitted(2, 10), bans(1, 0, 10, window((10, 1))), 100)),
        (SHORT, bans(1, 5, 6, window((0, 1), (5, 3))), 1, 5, (refused(0, 5, 10), None, 10)),
        (SHORT, bans(1, 5, 6, window((0, 1), (5, 3))), 2, 5, (refused(0, 10, 10), None, 10)),
        (ONCE, bans(1, 0, 1, FULL), 1, 2, (refused(0, 8, 8), None, 99)),
        # It is remembered for some time.
        (BANS, BANNED, 3, 110 - TICK, (admitted(0, 30), bans(2, 110 - TICK, 140 - TICK, window((110 - TICK, 3))), 130)),
        (BANS, BANNED, 3, 110, (admitted(0, 10), bans(1, 110, 120, window((110, 3))), 110)),
        (BANS, BANNED, 1, 110, (admitted(2, 10), free(window((110, 1))), 10)),
        (SHORT, bans(1, 0, 1, FULL), 1, 2, (refused(0, 8, 8), None, 8)),
        # The clock has gone back.
        (BANS, BANNED, 1, -50, (refused(0, 60, 60), None, 160)),
        (BANS, BANNED, 1, -51, (refused(0, 60, 60), bans(1, 0, 9, window((-51, 3))), 160)),
        (BANS, BANNED, 0, -51, ((True, *refused(0, 0, 60)[1:]), bans(1, 0, 9, window((-51, 3))), 160)),
        (SHORT, bans(1, 0, 1, FULL), 1, -9, (refused(0, 19, 19), bans(1, 0, -7, FULL), 19)),
        (SHORT, bans(1, 0, 1, FULL), 1, -11, (refused(0, 10, 10), bans(1, 0, -9, window((-11, 3))), 10)),
        (BANS, free(FULL), 1, -11, (refused(0, 10, 10), free(window((-11, 3))), 10)),
        (BANS, bans(1, -90, -80, FULL), 1, -11, (refused(0, 10, 10), bans(1, -90, -80, window((-11, 3))), 31)),
    ],
)
def test_a_hit_is_decided_exactly(strategy, state, cost, now, expected):
    decision, changed, ttl = expected
    assert strategy.prepare(RATE)(state, cost, at(now)) == (decision, changed, round(ttl * SECOND))


def test_nothing_is_remembered_without_a_ban_also_at_the_time_0():
    assert BANS.decide(None, RATE, 1, 0).ttl == RATE.period


def receipt(time):
    return at(time), 1


@pytest.mark.parametrize(
    ("strategy", "state", "delta", "of", "now", "expected"),
    [
        (BANS, None, -1, None, 0, (None, 0, 0)),
        (BANS, None, 2, None, 0, (free(window((0, 2))), 10, 2)),
        (BANS, None, 3, None, 0, (charged(1, 10, FULL), 110, 3)),
        (Penalty(), None, 3, None, 0, (charged(1, 10, FULL), 86_410, 3)),  # as long as the period
        (BANS, None, 7, None, 0, (charged(1, 10, window((0, 6))), 110, 6)),
        (BANS, BANNED, 0, None, 4, (None, 0, 0)),
        # Without the unit the ban would not have begun.
        (BANS, BANNED, -1, receipt(0), 4, (free(window((0, 2))), 6, -1)),
        (BANS, bans(2, 10, 40, window((10, 3))), -1, receipt(10), 14, ((1, 0, at(14), window((10, 2))), 100, -1)),
        (BANS, BANNED, -1, None, 4, (bans(1, 0, 10, window((0, 2))), 106, -1)),
        (BANS, bans(1, 4, 14, window((0, 2), (4, 3))), -1, receipt(0), 5, (free(window((0, 1), (4, 2))), 9, -1)),
        (BANS, bans(1, 0, 10, window((0, 3), (4, 4))), -1, receipt(4), 5, (BANNED, 105, -1)),
        (BANS, charged(1, 10, FULL), -1, receipt(0), 4, (charged(1, 10, window((0, 2))), 106, -1)),
        (BANS, BANNED, -1, receipt(0), 10, (None, 0, 0)),  # it has left the window
        (ONCE, bans(1, 0, 1, FULL), -1, receipt(0), 1, (bans(1, 0, 1, window((0, 2))), 100, -1)),
        (ONCE, bans(1, 0, 1, FULL), -1, receipt(0), 1 - TICK, (free(window((0, 2))), 9 + TICK, -1)),
        # Units that are charged in any case start a ban, unless one is in force.
        (BANS, BANNED, 1, None, 4, (bans(1, 0, 10, window((0, 3), (4, 4))), 106, 1)),
        (ONCE, bans(1, 0, 1, FULL), 1, None, 1, (charged(2, 2, window((0, 3), (1, 4))), 101, 1)),
        (BANS, bans(1, 0, 10, FULL), 3, None, 10, (charged(2, 40, window((10, 3))), 130, 3)),
        (BANS, bans(1, 0, 10, FULL), 2, None, 10, (bans(1, 0, 10, window((10, 2))), 100, 2)),
        (BANS, bans(4, 0, 60, FULL), 3, None, 60, (charged(4, 120, window((60, 3))), 160, 3)),
        (BANS, bans(1, 0, 10, FULL), 3, None, 110, (charged(1, 120, window((110, 3))), 110, 3)),
        # The clock has gone back.
        (BANS, BANNED, -1, None, -51, (bans(1, 0, 9, window((-51, 2))), 160, -1)),
    ],
)
def test_units_are_settled_exactly(strategy, state, delta, of, now, expected):
    changed, ttl, applied = expected
    settled = strategy.settle(state, RATE, delta, of, at(now))
    assert (settled.state, settled.ttl, settled.applied) == (changed, round(ttl * SECOND), applied)
    left = strategy.decide(settled.state or state, RATE, 0, at(now)).decision.remaining
    assert settled.decision.remaining == left


def test_the_receipt_is_that_of_the_window():
    assert BANS.receipt(None, BANNED, RATE) == receipt(0)


@pytest.mark.parametrize(
    ("options", "rate", "lengths"),
    [
        ({}, RATE, (10, 20, 40)),
        ({"base": "5s"}, RATE, (5, 10, 20)),
        ({"longest": "15s"}, RATE, (10, 15, 15)),
        ({"longest": "5s"}, RATE, (5, 5, 5)),
        ({"base": "5s", "longest": "5s"}, RATE, (5, 5, 5)),
        ({"base": "1s", "factor": 1000, "longest": "90 days"}, RATE, (1, 1000, 1_000_000)),
        ({"base": "1s", "factor": 1}, RATE, (1, 1, 1)),
    ],
)
def test_bans_grow_by_the_factor_up_to_the_longest(options, rate, lengths):
    kernel = Penalty(**options).prepare(rate)
    state, now, found = None, ZERO, []
    for _ in range(3):
        _, state, _ = kernel(state, 3, now)
        found.append((state[2] - state[1]) / SECOND)
        now = max(state[2], now + 10 * SECOND)
    assert tuple(found) == lengths


def test_the_first_ban_is_at_most_the_longest_one():
    assert Penalty(base="5s", longest="5s").longest == "5s"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"factor": 0}, ValueError, "from 1 to 1000, not 0"),
        ({"factor": 1001}, ValueError, "from 1 to 1000, not 1001"),
        ({"factor": 1.5}, ValueError, r"not 1\.5"),
        ({"base": "soon"}, RateError, "base is .* not 'soon'"),
        ({"base": 60}, RateError, "base is .* not 60"),
        ({"longest": timedelta(0)}, RateError, "from 1 to 3153600000000000, not 0"),
        ({"longest": "long"}, RateError, "longest is .* not 'long'"),
        ({"forget": ""}, RateError, "forget is .* not ''"),
        ({"base": "2 days"}, RateError, "longer than its longest one"),
    ],
)
def test_bad_options_are_errors(options, error, message):
    with pytest.raises(error, match=message):
        Penalty(**options)
