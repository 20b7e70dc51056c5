"""The page needs no other file, is well formed, escapes text of clients, and sorts its tables in a browser."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli.browser import MISSING, find, open_page

ROOT = Path(__file__).parents[2]
HOSTILE = '</script><script>document.title="taken"</script><img src=x onerror=alert(1)>&"\''
VOID = {"meta", "link", "br", "img", "input", "hr"}
PRESS = "<script>document.querySelectorAll('table')[{table}].querySelectorAll('button')[{column}].click()</script>"


class Outline(HTMLParser):
    """The elements of a page, and those that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.links = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.links += [value for name, value in attributes if name in {"src", "href", "xlink:href", "action"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)
        self.links += [value for name, value in attributes if name in {"src", "href", "xlink:href"}]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page about hostile clients."""
    from traffik_cli.main import run

    folder = tmp_path_factory.mktemp("page")
    hits = [(second, f"{HOSTILE} {place}") for place in range(4) for second in range(20) for _ in range(place + 2)]
    rows = [{"time": 1_760_054_400 + second, "user": user} for second, user in sorted(hits)]
    (folder / "log").write_text("".join(json.dumps(row) + "\n" for row in rows) + f"{HOSTILE}\n")
    path = folder / "page.html"
    call = ["replay", str(folder / "log"), "--rate", "20/min", "--key", "field:user", "--html", str(path)]
    assert run([*call, "--compare", "5/min", "--target-refused", "1%"]) == 0
    return path


@pytest.fixture(scope="module")
def chromium():
    program = find()
    if program is None:
        pytest.skip(MISSING)
    return program


def test_it_is_well_formed_and_has_one_script(page):
    outline = Outline(page.read_text())
    assert outline.open == []
    assert outline.seen.count("script") == 1
    assert "img" not in outline.seen
    assert outline.seen.count("table") >= 4


def test_it_loads_nothing_from_elsewhere(page):
    text = page.read_text()
    assert [link for link in Outline(text).links if not link.startswith(("#", "data:"))] == []
    assert re.findall(r"url\((?!#)[^)]*\)|@import", text) == []
    assert "default-src 'none'" in text


def test_text_of_clients_is_escaped(page):
    text = page.read_text()
    assert HOSTILE not in text
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#x27; 3" in text


def test_a_long_key_is_cut_in_the_middle_and_whole_where_it_is_pointed_at(page):
    cells = re.findall(r'<td title="([^"]*)">([^<]*)</td>', page.read_text())
    assert {len(unescape(shown)) for _, shown in cells} <= {48}
    assert {f"{HOSTILE} {place}" for place in range(4)} <= {unescape(whole) for whole, _ in cells}


def test_it_opens_in_a_browser_without_complaints(page, chromium, tmp_path):
    opened = open_page(chromium, page, tmp_path)
    assert opened.console == []
    assert "<title>Replay of 20/min</title>" in opened.document


def test_a_click_on_a_column_sorts_the_table(page, chromium, tmp_path):
    heading = page.read_text().index("Worst hit by 20/min")
    place = page.read_text()[:heading].count("<table>")
    pressed = tmp_path / "pressed.html"
    pressed.write_text(page.read_text().replace("</body>", PRESS.format(table=place, column=1) * 2 + "</body>"))
    opened = open_page(chromium, pressed, tmp_path / "profile")
    table = opened.document.split("<table>")[place + 1]
    orders = re.findall(r'<td class="n" data-order="([0-9.]+)">', table.partition("</table>")[0])
    assert orders[::6] == ["40", "60", "80", "100"]  # a row has six numbers, first the requests
    assert 'aria-sort="ascending"' in table


def test_messages_of_a_browser_are_detected(chromium, tmp_path):
    (tmp_path / "broken.html").write_text("<!doctype html><script>nothing.at.all()</script>")
    assert "nothing is not defined" in open_page(chromium, tmp_path / "broken.html", tmp_path / "profile").console[0]


def test_a_page_explains_the_client_and_each_throttle_that_were_asked_about(traffik, access_log, tmp_path):
    call = ("--policy", ROOT / "examples" / "limits.toml", "--client", "198.51.100.23", "--html", tmp_path / "a.html")
    assert traffik("replay", access_log, *call).code == 0
    text = (tmp_path / "a.html").read_text()
    assert "<p>198.51.100.23 sent 7,200 requests from " in text
    assert all(f"<h2>{title}" in text for title in ("Minutes of 198.", "Requests of 198.", "By throttle"))
    assert "everything: clients by requests in their fullest 1 min" in text
