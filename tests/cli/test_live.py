"""The live page in a terminal, from a real server."""

from __future__ import annotations

import json
import re

import pytest

from tests.live.shop import HOSTILE, TOKEN, shop
from traffik_cli.commands.live import draw


@pytest.fixture(scope="module")
def visited():
    """The address of the page of a shop where two clients were refused."""
    with shop() as (address, limiters, page):
        for client, times in (("ada", 8), (f"{HOSTILE}\x1b[2J", 6)):
            for _ in range(times):
                limiters["login"].sync.hit(client)
        page.tick()
        yield address


def test_it_shows_what_the_page_shows(traffik, visited):
    said = traffik("top", "--live", visited, "--token", TOKEN)
    assert said.code == 0
    assert re.search(r"login +│ 5/min .* 10 │ +4 │ on", said.out)
    assert re.search(r"ada +│ login +│ +3", said.out)
    assert "\x1b[2J" not in said.out


def test_it_is_told_as_json(traffik, visited, monkeypatch):
    monkeypatch.setenv("TRAFFIK_LIVE_TOKEN", TOKEN)
    state = json.loads(traffik("top", "--live", visited, "--json").out)
    assert [each["refused"] for each in state["clients"]] == [3, 1]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--live", "ftp://shop"], "not 'ftp://shop'"),
        (["--live", "http://127.0.0.1:1/"], "does not answer"),
        (["--live", "{visited}"], "status 401; give its token"),
        (["--live", "{visited}x/", "--token", TOKEN], "status 404"),
        (["--store", "lmdb:"], "--live"),
    ],
)
def test_a_mistake_is_explained(traffik, visited, options, complaint):
    said = traffik("top", *(option.replace("{visited}", visited) for option in options))
    assert (said.code, complaint in said.err) == (2, True)


def test_the_history_is_drawn_as_bars(visited):
    series = {"admitted": [0, 1, 8], "refused": [4, 0, 0]}
    facts = {"workers": 4, "shared": True, "minutes": 10, "problem": None}
    summary = draw(
        {"series": series, "throttles": [], "clients": [], "bans": [], "stores": [], "notices": []} | facts, 5
    )
    assert "[blue] ▁█[/] admitted" in summary.renderables[0]
    assert "4 workers: 30.8 % of 13 refused" in summary.renderables[0]
