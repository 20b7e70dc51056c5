"""A page that shows a file of the repository shows the whole file."""

from __future__ import annotations

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, title

EXCERPTS = {"docs/choose-a-limit.md": ("toml", "examples/limits.toml")}


@pytest.mark.parametrize("page", EXCERPTS)
def test_a_page_shows_the_whole_file(page):
    kind, file = EXCERPTS[page]
    shown = [block.text for block in blocks(ROOT / page) if block.kind == kind]
    assert shown == [(ROOT / file).read_text(encoding="utf-8")]


def test_no_page_shows_a_marker_for_an_include():
    assert [title(page) for page in PAGES if "--8<--" in page.read_text(encoding="utf-8")] == []
