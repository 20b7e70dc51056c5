"""Synthetic traffic: the same from the same seed, and like a day of a service."""

from __future__ import annotations

import pytest

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.synthetic import SCRAPER, Traffic, traffic_of

SMALL = Traffic(requests=4000, clients=200)


@pytest.fixture(scope="module")
def content():
    return b"".join(SMALL.blocks())


def test_the_same_seed_gives_the_same_lines(content):
    assert content == b"".join(SMALL.blocks())
    assert content != b"".join(Traffic(seed=2, requests=4000, clients=200).blocks())


def test_every_line_is_readable_and_in_order(content, replay):
    report, (log,) = replay([content], "unlimited")
    assert (log.malformed, log.disordered) == (0, 0)
    assert report.requests == log.lines == content.count(b"\n")


def test_it_has_a_scraper_a_storm_in_the_afternoon_and_quiet_mornings(content, replay):
    report, _ = replay([content], "30/min")
    (worst, *others) = report.limits[0].worst
    assert (worst.key, worst.requests) == (SCRAPER, 10_800)
    assert {15} == {each.first // 3_600_000_000 % 24 for each in others}  # the storm, in the afternoon
    by_hour = {step.at // 3_600_000_000 % 24: 0 for step in report.steps}
    for step in report.steps:
        by_hour[step.at // 3_600_000_000 % 24] += step.requests
    assert by_hour[17] > 3 * by_hour[6]


def test_settings_are_parsed():
    assert Traffic(seed=7, hours=2, storm=0) == traffic_of("seed=7, hours=2,storm=0")
    assert Traffic() == traffic_of("default")


@pytest.mark.parametrize("text", ["seed", "seed=x", "days=2", "hours=0", "seed=-1", "clients=1.5"])
def test_what_is_no_setting(text):
    with pytest.raises(ConfigurationError, match=r"not a setting|integer from"):
        traffic_of(text)
