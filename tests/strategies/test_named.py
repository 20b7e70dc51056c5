"""Strategies by their names."""

from __future__ import annotations

import pytest

from traffik import GCRA, ConfigurationError, LeakyBucket, SlidingWindow, TokenBucket
from traffik.strategies.named import STRATEGIES, strategy_named


@pytest.mark.parametrize(
    ("name", "settings", "strategy"),
    [
        (None, {}, SlidingWindow()),
        *((name, {}, kind()) for name, kind in STRATEGIES.items()),
        (" Sliding_Window ", {}, SlidingWindow()),
        ("TOKEN_BUCKET", {"burst": 3, "debt": 2}, TokenBucket(3, debt=2)),
        ("token-bucket", {"debt": 0}, TokenBucket()),
        ("leaky-bucket", {"burst": 3}, LeakyBucket(3)),
        ("gcra", {"burst": 3}, GCRA(3)),
    ],
    ids=str,
)
def test_a_name_is_that_of_a_strategy(name, settings, strategy):
    assert strategy_named(name, **settings) == strategy


@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("window", {}, ConfigurationError, "no strategy 'window'; the strategies are sliding-window, fixed-window"),
        ("Fixed_Window", {"burst": 3}, ConfigurationError, "fixed-window has no burst; token-bucket, leaky-bucket, g"),
        ("gcra", {"debt": 0}, ConfigurationError, "gcra has no debt"),
        ("gcra", {"burst": 0}, ValueError, "0"),
    ],
)
def test_a_wrong_name_or_setting_is_an_error(name, settings, error, message):
    with pytest.raises(error, match=message):
        strategy_named(name, **settings)
