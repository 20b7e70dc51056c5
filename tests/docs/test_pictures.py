"""The pictures show what the pages beside them say, and are drawn from the code and the figures of today."""

from __future__ import annotations

import re

import pytest

from docs import draw_landing, simulate_slices
from docs.draw_strategies import STRATEGIES, admitted
from tests.docs.pages import PAGES, ROOT
from traffik import FixedWindow, SlidingWindow

BOUNDS = {"SlidingWindow(), SlidingLog()": 10, "FixedWindow()": 19, "GCRA(burst=1)": 10}


@pytest.mark.parametrize(("name", "most"), BOUNDS.items())
def test_the_picture_shows_the_most_that_a_minute_may_admit(name, most):
    times = admitted(STRATEGIES[name])
    assert most == max(sum(begin <= time < begin + 60 for time in times) for begin in times)


def test_the_landing_page_shows_what_it_says_about_minutes_and_waits():
    assert max(draw_landing.fullest(SlidingWindow())) == 100
    assert max(draw_landing.fullest(FixedWindow())) > 180
    assert (draw_landing.retries(1), draw_landing.retries(0)) == (0, draw_landing.CLIENTS)


def test_the_landing_page_has_the_figures_of_the_page_on_speed():
    drawn = (ROOT / "docs" / "images" / "landing-redis.svg").read_text(encoding="utf-8")
    found = draw_landing.throughput(draw_landing.SPEED.read_text(encoding="utf-8"))
    assert len(found) == len(draw_landing.CALLERS)
    assert [f"{low:g}–{high:g} ×" for low, high in found if f"{low:g}–{high:g} ×" not in drawn] == []


def test_the_chart_of_slices_has_a_point_for_each_row_of_the_table():
    found = simulate_slices.outcomes(simulate_slices.PAGE.read_text(encoding="utf-8"))
    assert tuple(found) == simulate_slices.HITS_A_SECOND


def test_every_picture_has_colours_for_dark_pages():
    drawn = [
        path
        for path in (ROOT / "docs" / "images").glob("*.svg")
        if path.name != "demo.svg" and not path.name.startswith("peers-")
    ]
    assert len(drawn) >= 7
    assert [path.name for path in drawn if "prefers-color-scheme:dark" not in path.read_text(encoding="utf-8")] == []


def test_every_screenshot_is_shown_in_the_colours_of_the_page():
    shown = [
        link for page in PAGES for link in re.findall(r"\((images/\S+\.png\S*)\)", page.read_text(encoding="utf-8"))
    ]
    assert len(shown) >= 4
    assert {link.rpartition("#")[2] for link in shown} == {"only-light", "only-dark"}
    assert sum("#only-light" in link for link in shown) == len(shown) / 2
