"""The same sixty requests in the shapes that servers and collectors write: every log gives the same result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

LOGS = Path(__file__).parent / "replay" / "logs"
ROWS = [line.split("\t") for line in (LOGS / "expected.tsv").read_text().splitlines() if not line.startswith("#")]
EXPECTED = {call: tuple(map(int, counts)) for call, *counts in ROWS}


def counts(traffik, name, *more):
    said = traffik("replay", LOGS / name, *(more or ("--rate", "10/min")), "--json")
    (found,) = json.loads(said.out)["scenarios"]
    return found["clients"], found["refused"], found["touched"]


@pytest.mark.parametrize("call", EXPECTED)
def test_a_log_of_any_shape_gives_the_same_result(call, traffik):
    assert counts(traffik, *call.split(" ")) == EXPECTED[call]
