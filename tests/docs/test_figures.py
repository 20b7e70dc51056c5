"""The README's figures about other limiters are those of the last comparison."""

from __future__ import annotations

import json

from tests.docs.pages import ROOT


def test_the_hits_on_redis_are_those_that_were_measured():
    found = json.loads((ROOT / "benchmarks" / "peers" / "results.json").read_text())
    ours, *others = [each["128"][0] for each in found["redis"] if "128" in each]
    best = max(others[2:])  # the first two are other strategies of ours
    times = f"{ours / best:.1f} times as many hits"
    assert times in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_page_in_the_docs_has_all_results():
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert (ROOT / "docs" / "compare.md").read_text(encoding="utf-8").startswith(results)
