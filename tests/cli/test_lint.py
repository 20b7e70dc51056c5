"""`traffik lint` reports mistakes in limits, with their file and line."""

from __future__ import annotations

from weakref import WeakSet

import pytest

from traffik import Limiter, Tiers
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


def test_mistakes_are_reported_with_file_and_line(process, tmp_path):
    (tmp_path / "bad.py").write_text(BAD)
    said = process("lint", "bad:app")
    kinds = {line.rpartition("[")[2].removesuffix("]"): line for line in said.out.splitlines()}
    assert {"admits-nothing", "cost-above-capacity", "idle-rate", "unlimited", "no-store"} <= set(kinds)
    assert f"{tmp_path / 'bad.py'}:4: never: " in kinds["admits-nothing"]
    assert f"{tmp_path / 'bad.py'}:5: dear: " in kinds["cost-above-capacity"]
    assert "the rate 1000/s never binds, since 1/s allows no more" in kinds["idle-rate"]
    assert (said.code, said.err) == (1, "limits: 6, findings: 5\n")


def test_correct_limits_have_no_findings(process, tmp_path):
    (tmp_path / "good.py").write_text(GOOD)
    said = process("lint", "good:site.throttle")
    assert (said.code, said.out, said.err) == (0, "", "limits: 1, findings: 0\n")


def test_an_error_of_the_module_is_shown(process, tmp_path):
    (tmp_path / "broken.py").write_text("x = 1\nx.y\n")
    said = process("lint", "broken")
    assert said.code == 2
    assert "broken fails when it is imported: AttributeError" in said.err or "broken: " in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("code", [0, 1, "'no settings'"])
def test_a_module_that_exits_is_an_error(code, process, tmp_path):
    (tmp_path / "leaving.py").write_text(f"import sys\nsys.exit({code})\n")
    said = process("lint", "leaving")
    assert (said.code, said.out) == (2, "")
    assert "leaving fails when it is imported: SystemExit: " in said.err
    assert "leaving.py:2)" in said.err


def test_a_missing_application_is_an_error(process, tmp_path):
    (tmp_path / "good.py").write_text(GOOD)
    assert "has no attribute 'nothing'" in process("lint", "good:nothing").err


@pytest.fixture
def findings(monkeypatch):
    """The kinds of findings about some limits, with a store."""
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
def test_mistakes_in_rates_are_found(rate, kinds, findings):
    assert findings(Limiter("a", rate)) == kinds


@pytest.mark.parametrize(
    ("tiers", "kinds"),
    [
        ({"free": "9/hour", "pro": "5/s; 99/hour", "max": "unlimited"}, []),
        ({"free": "9/hour", "pro": "99/day"}, ["tier-periods"]),
        ({"free": "0/s", "pro": "9/s; 2/s"}, ["admits-nothing", "idle-rate"]),
        ({"free": "unlimited"}, ["unlimited"]),
    ],
)
def test_tiers_that_cannot_be_meant(tiers, kinds, findings):
    assert findings(Limiter("a", Tiers(tiers, lambda identity: "free"))) == kinds


def test_a_file_of_limits_is_looked_at_without_an_application(traffik, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = '[[throttle]]\nuid="a"\nrate="0/s"\n[[throttle]]\nuid="b"\n[throttle.tiers]\nfree="1/s; 1000/s"\n'
    (tmp_path / "limits.toml").write_text(text)
    said = traffik("lint", "limits.toml")
    first, second = said.out.splitlines()
    assert first == "limits.toml:1: a: has a limit of 0, so it admits nothing [admits-nothing]"
    assert second.startswith("limits.toml:4: b: tier 'free': the rate 1000/s never binds, since 1/s allows no more: ")
    assert (said.code, said.err) == (1, "limits: 2, findings: 2\n")


def test_a_missing_store_is_found(findings):
    one = Limiter("a b", "1/s")
    assert findings(one, Limiter("a-b", "1/s")) == []
    assert findings(one, made=()) == ["no-store"]
    assert findings(made=()) == []


FORGETFUL = """
from fastapi import FastAPI
from traffik import HTTPThrottle, Limiter
from traffik.backends.inmemory import InMemoryBackend
from traffik_starlette import throttled

store = InMemoryBackend()
class limits:
    search = HTTPThrottle("search", "10/s")
users = Limiter("users", "10/s")
app = FastAPI()

@throttled(limits.search)
@app.get("/")
async def search(request):
    limits.search.hit(request)
    if not users.check("one"):
        return
    limits.search.sync.hit(request)
    await limits.search.hit(request)
    return limits.search.stat(request)

def later(request):
    limits.search(request)
    request.hit(request)
"""


def test_missing_awaits_and_decorators_above_routes_are_reported_with_their_lines(process, tmp_path):
    (tmp_path / "forgetful.py").write_text(FORGETFUL)
    said = process("lint", "forgetful:app").out.splitlines()
    calls = {16: "limits.search.hit(request)", 17: "users.check('one')", 24: "limits.search(request)"}
    expected = "{}:{}: {}: {} is never awaited, so it does nothing: write await {} [forgotten-await]"
    assert said[1:] == [
        expected.format(tmp_path / "forgetful.py", line, "users" if "users" in call else "search", call, call)
        for line, call in calls.items()
    ]
    assert "put @throttled below the route [misplaced-decorator]" in said[0]


def test_an_error_at_the_start_of_the_application_is_a_finding(process, tmp_path):
    text = FORGETFUL.partition("@throttled")[0]
    depends = 'from fastapi import Depends\napp.get("/", dependencies=[Depends(limits.search.hit)])(lambda: None)\n'
    (tmp_path / "depending.py").write_text(text + depends)
    assert "write Depends(throttle) [cannot-start]" in process("lint", "depending:app").out


def test_a_throttle_used_as_a_decorator_is_reported_with_its_line(process, tmp_path):
    text = FORGETFUL.partition("@throttled")[0]
    (tmp_path / "decorating.py").write_text(f"{text}@limits.search\nasync def search(): ...\nsearch.close()\n")
    said = process("lint", "decorating:app").out
    assert f"{tmp_path / 'decorating.py'}:13: search: 'search' decorates search, and replaces it: " in said
    assert "write @throttled(limits.search) [throttle-as-decorator]" in said


def test_several_throttles_that_are_never_awaited_are_reported(process, tmp_path):
    text = FORGETFUL.partition("@throttled")[0] + TOGETHER
    (tmp_path / "together.py").write_text(text)
    said = process("lint", "together:app").out
    assert "search: both.hit(request) is never awaited" in said
    assert "hit_all: hit_all(request, limits.search) is never awaited" in said


TOGETHER = """
from traffik import AllOf, hit_all

both = AllOf(limits.search)

async def endpoint(request):
    both.hit(request)
    hit_all(request, limits.search)
    await both.hit(request)
"""


OUTSIDE = """
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik_starlette import ThrottleMiddleware

app, store = FastAPI(lifespan=InMemoryBackend().lifespan), InMemoryBackend()
app.add_middleware(CORSMiddleware, allow_origins=["*"])
app.add_middleware(ThrottleMiddleware, HTTPThrottle("outside", "10/s"))
"""


def test_a_middleware_outside_of_the_one_for_cors_is_found_before_a_request(process, tmp_path):
    swapped = OUTSIDE.splitlines()[:-2] + OUTSIDE.splitlines()[:-3:-1]
    (tmp_path / "swapped.py").write_text("\n".join(swapped))
    (tmp_path / "outside.py").write_text(OUTSIDE)
    assert "[cors-order]" in process("lint", "outside:app").out
    assert process("lint", "swapped:app").out == ""
