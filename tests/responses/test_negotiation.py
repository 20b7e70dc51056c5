"""The choice of a body by the Accept header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik.responses.negotiation import HTML, JSON, LONGEST_ACCEPT, PROBLEM, kind_for

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
CHROME = f"{FIREFOX},image/apng,application/signed-exchange;v=b3;q=0.7"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (FIREFOX, HTML),
        (CHROME, HTML),
        ("text/html", HTML),
        ("TEXT/HTML", HTML),
        ("text/html;charset=utf-8", HTML),
        ("text/*", HTML),
        ("text/html, application/json;q=0.9", HTML),
        ("*/*", PROBLEM),
        ("", PROBLEM),
        ("application/*", PROBLEM),
        ("image/png", PROBLEM),
        ("application/problem+json", PROBLEM),
        ("application/json, text/plain, */*", PROBLEM),
        ("application/json, application/problem+json", PROBLEM),
        ("application/json", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/json, text/html", JSON),
        ("application/json, text/html;q=0.9", JSON),
        ("text/html, */*", PROBLEM),
        ("text/html;q=0, */*", PROBLEM),
        ("text/html;q=0.5, application/json;q=0.5", JSON),
        ("text/html;q=0.501, application/json;q=0.5", HTML),
        ("text/html;q=2, application/json;q=0.1", JSON),
        ("text/html;q=0.1234, application/json;q=0.1", JSON),
        ("text/html;q=nan, application/json;q=0.1", JSON),
        ("text/html;q=, */*;q=0.1", PROBLEM),
        (";;;,text/,json/json,/", PROBLEM),
    ],
)
def test_the_preferred_kind_of_body_is_chosen(accept, kind):
    assert kind_for([accept]) == kind


def test_a_client_that_prefers_html_to_json_gets_a_page():
    for html in range(11):
        for json in range(11):
            kind = kind_for([f"text/html;q={html / 10}, application/problem+json;q={json / 10}"])
            assert kind == (HTML if html > json else PROBLEM)


def test_several_lines_are_one_list():
    assert kind_for(["application/json;q=0.1", "text/html"]) == HTML
    assert kind_for([]) == PROBLEM


def test_a_header_that_is_too_long_is_not_read():
    assert kind_for(["text/html," * 100 + "text/html"]) == HTML
    assert kind_for(["text/html," * (LONGEST_ACCEPT // 10 + 1)]) == PROBLEM


@given(st.lists(st.text("texhml/json*,;q=01. \tTé", max_size=60) | st.text(max_size=60), max_size=4))
def test_any_header_gives_a_kind_of_body(lines):
    assert kind_for(lines) in {PROBLEM, JSON, HTML}
