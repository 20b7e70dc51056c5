"""The live page in a real Chromium: light and dark, wide and narrow, by keyboard alone, and with a hostile client."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.browsing import browsing
from tests.live.shop import HOSTILE, TOKEN, shop, visit
from traffik import notices

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browsing(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def opened(tab):
    """The tab with the page of a shop, and the limiters."""
    with shop() as (address, limiters, page):
        tab.complaints.clear()
        tab.addresses.clear()
        tab.look()
        tab.call("Network.clearBrowserCookies")
        tab.open(address)
        tab.wait("document.activeElement?.id === 'token'")
        tab.write(TOKEN)
        tab.press("Enter")
        tab.wait("document.querySelectorAll('#throttles tr').length >= 3")
        tab.complaints.clear()  # the browser notes the 401 of the form
        yield tab, limiters, page
        tab.open("about:blank")  # or the server would wait for the end of the stream


def focus(tab):
    return tab.run("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")


def press_until(tab, label):
    for _ in range(60):
        tab.press("Tab")
        if focus(tab) == label:
            return
    raise AssertionError(f"the keyboard does not reach {label}")


def test_it_shows_the_counts_as_they_change(opened):
    tab, limiters, _ = opened
    for _ in range(8):
        limiters["login"].sync.hit("ada")
    cells = "[...document.querySelectorAll('#throttles tr')].find((tr) => tr.textContent.startsWith('login')).children"
    tab.wait(f"{cells}[4].textContent === '5' && {cells}[5].textContent === '3'")
    tab.wait("document.querySelector('#clients').textContent.includes('ada')")
    assert tab.run("document.querySelector('#chart svg').getAttribute('aria-label')").startswith("5 requests were")
    assert tab.complaints == []


def test_it_fetches_from_its_own_server_only(opened):
    tab, _, _ = opened
    assert {address.split("/")[2] for address in tab.addresses} == {tab.run("location.host")}


def test_a_notice_links_to_the_page_about_it(opened):
    tab, *_ = opened
    notices.notify("slot-lost", "exports", "a slot was lost")
    link = "document.querySelector('#notices a')"
    tab.wait(f"{link}?.parentElement.textContent === 'slot-lost: a slot was lost'")
    assert tab.run(f"{link}.href") == f"{notices.DOCS}notices.html#slot-lost"


def test_a_hostile_name_is_text(opened):
    tab, limiters, _ = opened
    for _ in range(8):
        limiters["login"].sync.hit(HOSTILE)
    tab.wait(f"document.querySelector('#clients').textContent.includes({HOSTILE!r})")
    assert tab.run("[document.title, document.images.length, document.scripts.length]") == ["Limits", 0, 1]


def test_the_keyboard_bans_a_client(opened):
    tab, limiters, _ = opened
    for _ in range(8):
        limiters["login"].sync.hit("ada")
    tab.wait("document.querySelector('#clients tr') !== null")
    press_until(tab, "Ban ada from login")
    tab.press("Enter")
    assert tab.wait("document.querySelector('dialog[open] #question').textContent") == "Ban ada from login?"
    press_until(tab, "Ban")
    tab.press("Enter")
    assert "from login" in tab.wait("document.querySelector('#bans li')?.textContent")
    assert limiters["login"].sync.hit("ada").degraded == "banned"
    assert focus(tab) == "Ban ada from login"


def test_a_client_that_is_not_in_the_list_is_typed_in(opened):
    tab, limiters, _ = opened
    limiters["login"].sync.hit("grace", 5)
    tab.run("document.querySelector('#identity').value = 'grace', document.querySelector('#of').value = 'login'")
    tab.run("document.querySelector('#another [name=Reset]').click()")
    assert tab.wait("document.querySelector('dialog[open] #question').textContent") == "Reset grace in login?"
    tab.run("document.querySelector('#yes').click()")
    assert "by act_token" in tab.wait("document.querySelector('#audit li')?.textContent")
    assert limiters["login"].sync.stat("grace").hits_remaining == 5


def test_an_action_is_called_off(opened):
    tab, limiters, _ = opened
    press_until(tab, "Disable login")
    tab.press("Enter")
    tab.wait("document.querySelector('dialog').open")
    tab.press("Escape")
    tab.wait("!document.querySelector('dialog').open")
    assert limiters["login"].enabled


LOOKS = {"light": (1280, "light"), "dark": (1280, "dark"), "phone": (390, "light"), "phone-dark": (390, "dark")}


@pytest.mark.parametrize("look", LOOKS)
def test_it_fits_and_can_be_read(look, opened, monkeypatch, tmp_path):
    tab, limiters, page = opened
    visit(limiters, page, monkeypatch)
    width, scheme = LOOKS[look]
    tab.wait(f"latest.at > {time.time()}")
    tab.look(width, 1000 if width > 600 else 1500, scheme)
    tab.run("dispatchEvent(new Event('resize'))")
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert contrast(tab) >= 4.5
    folder = IMAGES if os.environ.get("TRAFFIK_PICTURES") else tmp_path
    tab.picture(folder / f"live-{look}.png")
    assert (folder / f"live-{look}.png").stat().st_size > 10_000


def contrast(tab):
    """The smallest contrast of text to the paper, as WCAG 2 computes it."""
    colours = tab.run(
        "['body', 'th', '.some, .problem'].map((each) => getComputedStyle("
        "document.querySelector(each) || document.body).color)"
    )
    paper = tab.run("getComputedStyle(document.body).backgroundColor")
    return min(_ratio(colour, paper) for colour in colours)


def _ratio(one, other):
    lights = sorted((_light(one), _light(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(colour):
    parts = [int(each) / 255 for each in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
