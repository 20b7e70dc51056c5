"""The limit for a target: the estimate by its definition, the suggestion by decisions."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.selectors import Selector
from traffik_cli.replay.suggesting import Distribution, Target, countable, target_of

hits = st.lists(st.tuples(st.integers(0, 40), st.sampled_from([b"a", b"b", b"c", b"2001:db8::1", b"2001:db8::2"])))
shares = st.fractions(0, 1, max_denominator=50)


def counted(given_hits, period=10, most=1000):
    found = Distribution(period, Selector("ip"), most)
    for now, key in sorted(given_hits):
        found.add(now, [key])
    found.close()
    return found


def windows(given_hits):
    """Requests of each client in each window, by the definition."""
    return Counter((key[:8], now // 10) for now, key in given_hits)


@given(hits, shares)
def test_the_estimate_for_requests_is_the_least_that_leaves_few_enough_over(given_hits, share):
    counts = windows(given_hits)

    def over(limit):
        return sum(max(0, count - limit) for count in counts.values())

    limit = counted(given_hits).estimate(Target(share, "requests"))
    assert over(limit) <= share * len(given_hits)
    assert limit == 1 or over(limit - 1) > share * len(given_hits)


@given(hits, shares)
def test_the_estimate_for_clients_is_the_least_that_few_enough_exceed(given_hits, share):
    fullest = Counter()
    for (key, _), count in windows(given_hits).items():
        fullest[key] = max(fullest[key], count)

    def touched(limit):
        return sum(count > limit for count in fullest.values())

    limit = counted(given_hits).estimate(Target(share, "clients"))
    assert touched(limit) <= share * len(fullest)
    assert limit == 1 or touched(limit - 1) > share * len(fullest)


@given(hits)
def test_letting_go_of_clients_loses_no_request(given_hits):
    assert len(given_hits) == counted(given_hits, most=1).requests


def test_the_ladder_is_in_order_and_ends_where_nobody_is_refused():
    ladder = counted([(now, b"a") for now in range(10)] * 30).ladder(Target(Fraction(1, 100), "requests"), 2)
    assert sorted(set(ladder)) == ladder
    assert ladder[-1] == 4 * 300 * 2


@pytest.mark.parametrize(
    ("most", "expected"), [(1000, [5, 50, 60]), (60, [5, 50, 60]), (55, [5, 50, 55]), (50, [5, 50]), (3, [3]), (0, [1])]
)
def test_the_ladder_ends_where_the_strategy_does(most, expected):
    assert expected == countable([5, 50, 60], lambda limit: limit <= most)


def test_quantiles_of_the_fullest_windows():
    found = counted([(0, b"a")] * 90 + [(0, b"b")] * 10 + [(0, b"c"), (15, b"c")])
    assert found.quantiles() == {"50%": 10, "90%": 90, "99%": 90, "99.9%": 90, "100%": 90}


@pytest.mark.parametrize("text", ["0.1% of nothing", "lots", "200%", "1% clients"])
def test_what_is_no_target(text):
    with pytest.raises(ConfigurationError, match=r"no target|no share|no number"):
        target_of(text)


def test_targets():
    assert Target(Fraction(1, 1000), "requests") == target_of("0.1%") == target_of("0.1% of requests")
    assert str(target_of("1% of clients")) == "1% of clients"
