"""The site: its addresses, its card, and that no page loads anything from another host."""

from __future__ import annotations

import struct

import pytest
import yaml

from docs.check_site import foreign, main
from docs.draw_card import SIZE
from tests.docs.pages import ROOT

CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
FROM_ELSEWHERE = (
    '<script src="https://cdn.test/a.js"></script>',
    '<link rel="preconnect" href="//fonts.test">',
    '<img srcset="a.png 1x, https://cdn.test/b.png 2x">',
    "<style>@import 'https://fonts.test/a.css';</style>",
    "body { background: url(//cdn.test/a.png) }",
    '<a href="https://code.test" data-md-component="source">stars</a>',
)
FROM_HERE = '<link rel="canonical" href="https://docs.test/"><a href="https://a.test">a</a><img src="../images/a.svg">'


@pytest.mark.parametrize("page", FROM_ELSEWHERE)
def test_a_page_that_loads_from_another_host_is_found(page):
    assert len(foreign(page)) == 1


def test_links_to_other_sites_load_nothing():
    assert foreign(FROM_HERE) == []


def test_a_site_with_such_a_page_or_with_none_is_refused(tmp_path, capsys):
    assert main(str(tmp_path)) == 1
    (tmp_path / "index.html").write_text(FROM_HERE)
    assert main(str(tmp_path)) == 0
    (tmp_path / "a.html").write_text(FROM_ELSEWHERE[0])
    assert main(str(tmp_path)) == 1
    assert "a.html loads https://cdn.test/a.js" in capsys.readouterr().err


def test_what_the_site_adds_to_the_theme_loads_nothing_from_elsewhere():
    ours = [*(ROOT / "docs" / "overrides").rglob("*.html"), *(ROOT / "docs" / "assets").glob("*.css")]
    ours += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.svg")]
    assert [path.name for path in ours if foreign(path.read_text(encoding="utf-8"))] == []
    assert CONFIG["theme"]["font"] is False
    assert "extra_javascript" not in CONFIG


def test_the_card_is_as_large_as_the_pages_say():
    picture = (ROOT / "docs" / "images" / "card.png").read_bytes()
    head = (ROOT / "docs" / "overrides" / "main.html").read_text(encoding="utf-8")
    assert struct.unpack(">II", picture[16:24]) == SIZE
    assert [f'content="{pixels}"' in head for pixels in SIZE] == [True, True]
    assert 'property="og:image" content="{{ config.site_url }}images/card.png"' in head


def test_code_can_be_copied_and_the_repository_found():
    assert "content.code.copy" in CONFIG["theme"]["features"]
    assert CONFIG["repo_url"].endswith(CONFIG["repo_name"])
