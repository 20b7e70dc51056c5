"""Pictures are drawn, of the kind asked for; what is on them was looked at by people."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest


@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")])
def test_a_picture_is_drawn(name, begins, traffik, access_log, tmp_path):
    call = ("replay", access_log, "--rate", "60/min", "--plot", tmp_path / name)
    assert traffik(*call).code == 0
    content = (tmp_path / name).read_bytes()
    assert content.startswith(begins)
    assert len(content) > 10_000


def test_before_and_after_and_the_suggestion_are_on_it(traffik, access_log, tmp_path):
    call = ("replay", access_log, "--rate", "60/min", "--compare", "30/min", "--target-refused", "1% of clients")
    traffik(*call, "--html", tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    picture = ET.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    assert sum(each.get("id", "").startswith("axes_") for each in picture.iter()) == 5


def test_a_log_without_requests_is_drawn_too(traffik, tmp_path):
    (tmp_path / "empty.log").write_bytes(b"")
    assert traffik("replay", tmp_path / "empty.log", "--rate", "5/s", "--plot", tmp_path / "a.png").code == 2
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
