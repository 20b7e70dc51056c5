"""`traffik lint` says what cannot be meant, and where it was written."""

from __future__ import annotations

from weakref import WeakSet

import pytest

from traffik import Limiter
from traffik.backends import binding
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits import uids
from traffik_cli.commands.lint import findings_of

BAD = """
from traffik import HTTPThrottle, Limiter, TokenBucket

never = HTTPThrottle("never", "0/min")
dear = HTTPThrottle("dear", "5/min", cost=6)
idle = HTTPThrottle("idle", "1/s; 1000/s")
free = Limiter("free", "unlimited")
one, two = HTTPThrottle("api data", "5/s"), HTTPThrottle("api-data", "5/s")
app = None
"""
GOOD = """
from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend

store = InMemoryBackend()
class site:
    throttle = HTTPThrottle("good", "10/s; 1000/hour")
"""


def test_what_cannot_be_meant_is_said_with_its_place(shell, tmp_path):
    (tmp_path / "bad.py").write_text(BAD)
    said = shell("lint", "bad:app")
    kinds = {line.rpartition("[")[2].removesuffix("]"): line for line in said.out.splitlines()}
    assert {"admits-nothing", "cost-above-capacity", "idle-rate", "unlimited", "no-store"} <= set(kinds)
    assert f"{tmp_path / 'bad.py'}:4: never: " in kinds["admits-nothing"]
    assert f"{tmp_path / 'bad.py'}:5: dear: " in kinds["cost-above-capacity"]
    assert "the rate 1000/s never binds, since 1/s allows no more" in kinds["idle-rate"]
    assert (said.code, said.err) == (1, "limits: 6, findings: 5\n")


def test_where_nothing_is_wrong_nothing_is_said(shell, tmp_path):
    (tmp_path / "good.py").write_text(GOOD)
    said = shell("lint", "good:site.throttle")
    assert (said.code, said.out, said.err) == (0, "", "limits: 1, findings: 0\n")


def test_a_module_that_fails_says_where(shell, tmp_path):
    (tmp_path / "broken.py").write_text("x = 1\nx.y\n")
    said = shell("lint", "broken")
    assert said.code == 2
    assert "broken fails when it is imported: AttributeError" in said.err or "broken: " in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("code", [0, 1, "'no settings'"])
def test_a_module_that_exits_fails(code, shell, tmp_path):
    (tmp_path / "leaving.py").write_text(f"import sys\nsys.exit({code})\n")
    said = shell("lint", "leaving")
    assert (said.code, said.out) == (2, "")
    assert "leaving fails when it is imported: SystemExit: " in said.err
    assert "leaving.py:2)" in said.err


def test_an_app_that_is_not_there(shell, tmp_path):
    (tmp_path / "good.py").write_text(GOOD)
    assert "has no attribute 'nothing'" in shell("lint", "good:nothing").err


@pytest.fixture
def findings(monkeypatch):
    """The kinds of findings about some limits, where a store has been made."""
    monkeypatch.setattr(uids, "_claimed", {})
    store = InMemoryBackend()

    def kinds(*limits, made=(store,)):
        monkeypatch.setattr(binding, "_made", WeakSet(made))
        return [found.kind for found in findings_of(list(limits))]

    return kinds


@pytest.mark.parametrize(
    ("rate", "kinds"),
    [
        ("10/s; 1000/hour", []),
        ("10/s; 600/min", []),
        ("10/s; 620/min", ["idle-rate"]),
        ("0/s", ["admits-nothing"]),
        ("unlimited", ["unlimited"]),
        (lambda identity: "0/s", []),
    ],
)
def test_rates_that_cannot_be_meant(rate, kinds, findings):
    assert findings(Limiter("a", rate)) == kinds


def test_no_store(findings):
    one = Limiter("a b", "1/s")
    assert findings(one, Limiter("a-b", "1/s")) == []
    assert findings(one, made=()) == ["no-store"]
    assert findings(made=()) == []
