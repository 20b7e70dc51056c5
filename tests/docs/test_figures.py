"""The figures about other limiters are those of the last comparison, and the comparison runs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

PEERS = ROOT / "benchmarks" / "peers"
OURS, THEIRS = "traffik, SlidingWindow, the default", "limits, moving window"


@pytest.fixture(scope="module")
def page():
    sys.path.insert(0, str(PEERS))
    try:
        import page
    finally:
        sys.path.remove(str(PEERS))
    return page


@pytest.fixture(scope="module")
def found():
    return json.loads((PEERS / "results.json").read_text(encoding="utf-8"))


def test_the_pages_have_the_figures_that_were_measured(page, found):
    for each in page.PAGES:
        text = each.read_text(encoding="utf-8")
        assert "<!-- peers " in text
        assert page.rendered(text, found) == text


def test_the_results_have_all_parts(page, found):
    assert set(found["parts"]) == set(page.SECTIONS)
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert results.endswith(page.page(found, "../docs/images"))


def test_a_figure_is_a_ratio_within_its_round(page):
    part = {OURS: {"128": [100, 10]}, THEIRS: {"128": [50, 5]}}
    assert page.figures({"parts": {"redis": part}}, "redis") == "2.0 times as many hits"


def test_ours_is_measured_and_a_limiter_that_fails_is_shown_with_the_reason(tmp_path):
    file = tmp_path / "results.json"
    parts = ("--only", "memory", "--only", "requests", "--quick", "--results", str(file))
    subprocess.run([sys.executable, PEERS / "run.py", *parts, OURS, THEIRS], check=True, timeout=60)
    memory, requests = (json.loads(file.read_text())["parts"][part] for part in ("memory", "requests"))
    assert memory[OURS]["async"][0] > 0
    assert requests[OURS].keys() >= {"Starlette", "FastAPI", "Django, sync", "Django, async", "aiohttp"}
    assert memory[THEIRS][""] == ["failed: ModuleNotFoundError: No module named 'limits'"]
