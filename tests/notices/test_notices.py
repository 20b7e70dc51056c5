"""The log of notices."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from traffik import notices

ID, SENTENCE = "counted-twice", "the throttle 'a' has counted one request twice: hit it once"
PAGE = f"{notices.DOCS}notices.html#{ID}"


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.WARNING, "traffik.notices")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_notice_has_a_sentence_a_page_and_the_code_that_silences_it(lines):
    notices.notify(ID, "a", SENTENCE)
    assert lines() == [f'{SENTENCE} ({PAGE}; to silence it: traffik.notices.silence("{ID}"))']
    assert notices.said() == (notices.Notice(ID, "a", SENTENCE, PAGE),)


def test_a_notice_is_logged_once(lines):
    for _ in range(3):
        notices.notify(ID, "a", SENTENCE)
    assert len(lines()) == 1


def test_a_notice_is_logged_for_each_subject(lines):
    for about in "ab":
        notices.notify(ID, about, SENTENCE)
    assert len(lines()) == 2


def test_an_id_can_be_silenced(lines):
    notices.silence(ID)
    notices.notify(ID, "a", SENTENCE)
    notices.notify("one-identity", "a", SENTENCE)
    assert [notice.id for notice in notices.said()] == ["one-identity"]


def test_the_environment_can_silence_ids(lines, monkeypatch):
    monkeypatch.setenv("TRAFFIK_SILENCE", f"one-identity, {ID}")
    notices.notify(ID, "a", SENTENCE)
    assert lines() == []


def test_an_unknown_id_is_an_error_that_lists_the_ids():
    for call in (lambda: notices.silence("counted"), lambda: notices.notify("counted", "a", SENTENCE)):
        with pytest.raises(ValueError, match=r"no notice has the id 'counted'; there are .*counted-twice"):
            call()


def test_the_number_of_notices_is_limited(lines):
    for number in range(1_000):
        notices.notify(ID, str(number), SENTENCE)
    assert len(lines()) == 100


def test_the_docs_have_a_section_for_each_id():
    page = (Path(__file__).parents[2] / "docs" / "notices.md").read_text()
    assert [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")] == list(notices.IDS)
