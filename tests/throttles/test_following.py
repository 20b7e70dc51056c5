"""Following a file of limits: changes of the file apply while the application runs."""

from __future__ import annotations

import logging
import os
import time

import pytest

from tests import toy
from traffik import ConfigurationError, load_throttles
from traffik.backends.inmemory import InMemoryBackend
from traffik.throttles.following import FollowedLimits, following

LIMITS = '[[throttle]]\nuid = "api"\nrate = "{}"\n'


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text(LIMITS.format("2/min"))
    return path


@pytest.fixture
def throttles(path, clock):
    with InMemoryBackend(clock=clock) as store:
        yield load_throttles(path, backend=store)


def left(throttle):
    return throttle.sync.stat(toy.Request()).hits_remaining


def test_a_new_rate_applies_at_once_and_earlier_usage_counts(path, throttles):
    limits = FollowedLimits(path, throttles)
    throttles["api"].sync.hit(toy.Request())
    path.write_text(LIMITS.format("5/min"))
    assert limits.refresh() == ["api"]
    assert left(throttles["api"]) == 4
    assert limits.refresh() == []


def test_a_file_with_an_error_changes_nothing_and_the_error_is_logged(path, throttles, caplog):
    limits = FollowedLimits(path, throttles)
    path.write_text(LIMITS.format("5/parsec"))
    with pytest.raises(ConfigurationError, match=r"limits\.toml:3: "):
        limits.refresh()
    path.write_text(LIMITS.format("50/parsec"))
    limits.refresh_if_changed()
    assert "the limits stay as they were" in caplog.text
    assert left(throttles["api"]) == 2


def test_a_rate_that_was_changed_for_all_processes_stays_until_it_is_withdrawn(path, throttles, caplog):
    limits = FollowedLimits(path, throttles)
    throttles["api"].sync.update_everywhere(rate="9/min")
    path.write_text(LIMITS.format("5/min"))
    limits.refresh()
    assert "the rate of 'api' stays 9/min, which was set for all processes: 5/min counts once" in caplog.text
    assert left(throttles["api"]) == 9
    throttles["api"].sync.update_everywhere(rate=None)
    assert left(throttles["api"]) == 5


def test_a_missing_file_changes_nothing(path, throttles, caplog):
    limits = FollowedLimits(path, throttles)
    path.unlink()
    limits.refresh_if_changed()
    assert "cannot read" in caplog.text
    assert left(throttles["api"]) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LIMITS.format("2/min") + "cost = 2\n", "'api' has changed in more than its rate"),
        (LIMITS.format("2/min") + '[[throttle]]\nuid = "b"\nrate = "1/s"\n', "'b' was added or removed"),
    ],
)
def test_other_changes_need_a_restart(path, throttles, caplog, content, words):
    limits = FollowedLimits(path, throttles)
    path.write_text(content)
    assert limits.refresh() == []
    assert words in caplog.text


def test_a_thread_sees_the_change(path, throttles, caplog):
    caplog.set_level(logging.INFO, "traffik.limits")
    with following(path, throttles, every=0.01):
        path.write_text(LIMITS.format("50/min"))
        until(lambda: left(throttles["api"]) == 50)
    assert "the rate of 'api' is now 50/min" in caplog.text


@pytest.mark.parametrize("every", [0, -1, True, "1"])
def test_the_time_between_two_checks_is_a_number_of_seconds(path, throttles, every):
    with pytest.raises(ValueError, match="every is a number of seconds above 0"):
        following(path, throttles, every=every).__enter__()


def test_new_tiers_apply_at_once_and_earlier_usage_counts(path, caplog, clock):
    caplog.set_level(logging.INFO, "traffik.limits")
    tiers = '[[throttle]]\nuid = "tiers"\ndefault_tier = "free"\n[throttle.tiers]\nfree = "{}"\n'
    path.write_text(tiers.format("5/min"))
    with InMemoryBackend(clock=clock) as store:
        throttles = load_throttles(path, backend=store, tier=lambda _: None)
        limits = FollowedLimits(path, throttles)
        throttles["tiers"].sync.hit(toy.Request(), 3)
        path.write_text(tiers.format("9/min"))
        assert limits.refresh() == ["tiers"]
        assert left(throttles["tiers"]) == 6
    assert "the rate of 'tiers' is now Tiers({'free': '9/min'}" in caplog.text
    path.write_text(LIMITS.format("5/min").replace("api", "tiers"))
    assert limits.refresh() == []
    assert "has changed in more than its rate" in caplog.text


def test_a_throttle_that_was_missing_from_the_file_is_followed_again(path, throttles):
    limits = FollowedLimits(path, throttles)
    path.write_text(LIMITS.format("2/min").replace("api", "other"))  # as half a file, while it is written
    assert limits.refresh() == []
    path.write_text(LIMITS.format("5/min"))
    assert limits.refresh() == ["api"]
    assert left(throttles["api"]) == 5


@pytest.mark.parametrize("tiers_first", [True, False])
def test_a_throttle_that_cannot_be_followed_does_not_keep_others(path, clock, tiers_first):
    tiers = '[[throttle]]\nuid = "tiers"\ndefault_tier = "free"\n[throttle.tiers]\nfree = "{}"\n'
    whole = tiers + LIMITS if tiers_first else LIMITS + tiers
    path.write_text(whole.format("2/min", "2/min"))
    with InMemoryBackend(clock=clock) as store:
        throttles = load_throttles(path, backend=store, tier=lambda _: None)
        limits = FollowedLimits(path, throttles)
        path.write_text(whole.format(*(("5/month", "5/min") if tiers_first else ("5/min", "5/month"))))
        with pytest.raises(ConfigurationError):
            limits.refresh()
        assert left(throttles["api"]) == 5


def test_nothing_in_the_place_of_the_file_ends_the_thread(path, throttles, caplog):
    with following(path, throttles, every=0.01):
        path.write_text("a = " + "[" * 10_000)
        until(lambda: "this is not TOML" in caplog.text)
        path.unlink()
        os.mkfifo(path)
        until(lambda: "it is a pipe" in caplog.text)
        path.unlink()
        path.write_text(LIMITS.format("50/min"))
        until(lambda: left(throttles["api"]) == 50)


def until(holds):
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


def test_a_file_that_has_not_changed_is_not_read_again(path, throttles, caplog):
    limits = FollowedLimits(path, throttles)
    limits.refresh_if_changed()
    assert caplog.text == ""


def test_an_unexpected_error_is_logged_and_the_thread_goes_on(path, throttles, caplog, monkeypatch):
    monkeypatch.setattr(FollowedLimits, "refresh_if_changed", lambda limits: 1 / 0)
    with following(path, throttles, every=0.01):
        until(lambda: caplog.text.count("could not be followed") > 1)
