"""Pictures have the requested format, elements, texts and colours."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import cache
from itertools import pairwise

import pytest

from traffik_cli import plots
from traffik_cli.replay.timeline import Stretch, wider
from traffik_cli.words import cut


@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")])
def test_a_picture_is_drawn(name, begins, traffik, access_log, tmp_path):
    call = ("replay", access_log, "--rate", "60/min", "--plot", tmp_path / name)
    assert traffik(*call).code == 0
    content = (tmp_path / name).read_bytes()
    assert content.startswith(begins)
    assert len(content) > 10_000


@pytest.fixture(scope="module")
def page(called, access_log, tmp_path_factory):
    """Makes the page of a replay, once for all tests; its command and its text."""

    @cache
    def page(*how):
        path = tmp_path_factory.mktemp("page") / "a.html"
        call = ("replay", access_log, *how, "--html", path)
        assert called(*call).code == 0
        return " ".join(map(str, call)), path.read_text()

    return page


def pictures(text):
    """The pictures of a page: for wide screens and for phones."""
    parts = text.split("<svg")[1:]
    return [ET.fromstring("<svg" + part[: part.index("</svg>") + 6]) for part in parts]


def panels(picture):
    return sum("axes_" in each.get("id", "") for each in picture.iter())


ONE = ("--rate", "60/min")
TWO = ("--rate", "60/min", "--compare", "30/min", "--target-refused", "1% of clients")


def test_each_limit_has_a_strip_and_the_suggestion_a_panel(page):
    # Requests, refusals under three limits, clients by their fullest minute, and the limits that were tried.
    assert [panels(each) for each in pictures(page(*TWO)[1])] == [6, 6]


def test_groups_of_requests_have_a_panel_and_a_table(page):
    _, text = page("--target-refused", "1%", "--by", "path")
    wide, narrow = pictures(text)
    # Requests, refusals under the suggested limits, the groups.
    assert [panels(wide), panels(narrow)] == [3, 3]
    assert {"/login", "/search", "/api/items/*"} <= {text.strip() for text in wide.itertext()}
    assert "Suggested for /login: " in list(wide)[1].text
    assert text.index("Limits for at most 1% of requests") < text.index("Limits that were tried for")


def test_clients_beyond_each_limit_are_counted_on_its_line(page):
    wide, _ = pictures(page(*TWO)[1])
    text = " ".join(wide.itertext())
    assert "Clients by requests in their fullest 1 min" in text
    assert "60: 1 client above (" in text
    assert "30: 1 client above (" in text


def test_a_picture_has_a_title_and_a_description(page):
    for picture in pictures(page(*ONE)[1]):
        title, said = (each.text for each in list(picture)[:2])
        assert title == "Replay of 60/min"
        assert "Under 60/min 3,684" in said
        assert picture.get("role") == "img"


def test_a_picture_uses_the_colours_of_the_page(page):
    _, text = page(*ONE)
    assert "var(--refused, #b3261e)" in text
    assert "prefers-color-scheme: dark" in text


def test_a_page_shows_the_command_that_made_it(page):
    command, text = page(*ONE)
    assert f"<code>traffik {command}</code>" in text


def test_bars_of_a_day_with_few_requests_are_wide_enough_to_see():
    steps = [Stretch(hour * 3_600_000_000, 1, 0) for hour in range(24)]
    bars, width = wider(steps, 1_000_000, 120)
    assert (width, len(bars), sum(bar.requests for bar in bars)) == (900_000_000, 24, 24)


def test_a_long_name_is_cut_in_the_middle():
    assert cut("x" * 30 + "y" * 30, 11) == "xxxxx…yyyyy"


def test_a_log_without_requests_can_be_drawn(traffik, tmp_path):
    (tmp_path / "empty.log").write_bytes(b"")
    assert traffik("replay", tmp_path / "empty.log", "--rate", "5/s", "--plot", tmp_path / "a.png").code == 2
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def figures(traffik, monkeypatch, tmp_path):
    """The pictures of a replay for a desk and for a phone, as matplotlib's figures."""
    found = []

    def keep(outcome, path):
        found.extend(plots.figure(outcome, narrow=narrow) for narrow in (False, True))

    def figures(*call):
        monkeypatch.setattr(plots, "save", keep)
        assert traffik("replay", *call, "--plot", tmp_path / "a.png").code == 0
        return found

    return figures


def test_no_two_series_of_a_panel_have_the_same_line_and_marker(figures, access_log):
    compared = [word for rate in ("40/min", "300/min", "500/min") for word in ("--compare", rate)]
    found = figures(access_log, "--rate", "60/min", *compared, "--target-refused", "1% of clients")
    found += figures(access_log, "--target-refused", "1%", "--by", "path")
    most = 0
    for axis in (axis for figure in found for axis in figure.axes):
        looks = [(line.get_linestyle(), line.get_marker()) for line in axis.lines if len(line.get_xdata()) > 1]
        assert len(looks) == len({*looks}), axis.get_title(loc="left")
        most = max(most, len(looks))
    assert most >= 4


def test_lines_of_limits_do_not_cover_each_other(figures, access_log):
    compared = [word for rate in ("500/min", "501/min", "900/min") for word in ("--compare", rate)]
    for figure in figures(access_log, "--rate", "60/min", *compared):
        (axis,) = (axis for axis in figure.axes if "fullest" in axis.get_title(loc="left"))
        places = [line.get_xdata()[0] for line in axis.lines]
        assert len(places) == 4
        assert min(b - a for a, b in pairwise(places)) >= 0.2
        assert max(places) < axis.get_xlim()[1]
