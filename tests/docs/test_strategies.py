"""The picture of the strategies agrees with the table beside it."""

from __future__ import annotations

import runpy

import pytest

from tests.docs.pages import ROOT

DRAWING = runpy.run_path(str(ROOT / "docs" / "draw_strategies.py"))
BOUNDS = {"SlidingWindow(), SlidingLog()": 10, "FixedWindow()": 19, "GCRA(burst=1)": 10}


@pytest.mark.parametrize(("name", "most"), BOUNDS.items())
def test_the_picture_shows_the_most_that_a_minute_may_admit(name, most):
    times = DRAWING["admitted"](DRAWING["STRATEGIES"][name])
    assert most == max(sum(begin <= time < begin + 60 for time in times) for begin in times)
