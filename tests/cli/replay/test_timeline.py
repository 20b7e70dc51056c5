"""The numbers of requests and refusals over time, for a log of any length."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from traffik_cli.replay.timeline import Peak, Timeline

runs = st.lists(st.tuples(st.integers(0, 3_000_000_000_000), st.integers(1, 5), st.integers(0, 1)))


def filled(hits):
    timeline = Timeline()
    for part in (sorted(hits)[:2], sorted(hits)[2:]):
        times = [now for now, requests, _ in part for _ in range(requests)]
        timeline.add(times, [now for now, _, refused in part if refused])
    return timeline, timeline.steps()


@given(runs)
def test_every_request_is_in_the_step_of_its_time(hits):
    timeline, steps = filled(hits)
    expected = Counter()
    for now, requests, _ in hits:
        expected[now // timeline.step * timeline.step] += requests
    assert dict(expected) == {step.at: step.requests for step in steps}
    assert sum(refused for *_, refused in hits) == sum(step.refused for step in steps)


@given(runs)
def test_the_busiest_second_and_minute_are_exact(hits):
    timeline, _ = filled(hits)
    for length, peak in ((1_000_000, timeline.second), (60_000_000, timeline.minute)):
        counts = Counter()
        for now, requests, _ in hits:
            counts[now // length] += requests
        assert max(counts.values(), default=0) == peak.requests
        assert not hits or counts[peak.at // length] == peak.requests


def test_a_year_fits_in_few_steps():
    _, steps = filled([(hour * 3_600_000_000, 1, 0) for hour in range(365 * 24)])
    assert 100 < len(steps) <= 601
    assert sum(step.requests for step in steps) == 365 * 24


def test_an_empty_log_has_no_steps():
    assert (None, Peak(), []) == (Timeline().first, Timeline().second, Timeline().steps())
