"""The pytest plugin, in projects of users: the tests on its page, and what it costs those who do not use it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT, blocks

PAGE = [block.text for block in blocks(ROOT / "docs" / "testing.md")]
FILES = {text.split()[1].rpartition("/")[2]: text for text in PAGE if text.split()[1].endswith(".py")}

MARKED = """
import pytest
from traffik import Limiter
from traffik.backends.inmemory import InMemoryBackend

kept = Limiter("kept", "1/min", backend=InMemoryBackend())
early = Limiter("api:early", "0/min")
free = Limiter("other", "0/min")


def admits(*limits):
    return [bool(limit.sync.hit("ada")) for limit in limits]


@pytest.mark.unthrottled("api:*", "late")
class TestOfSomeLimits:
    def test_early_and_late(self, traffik_store):
        assert admits(early, Limiter("late", "0/min"), free) == [True, True, False]

    @pytest.mark.unthrottled
    def test_of_all_limits(self, traffik_store):
        assert admits(early, Limiter("late", "0/min"), free) == [True, True, True]


def test_quota_is_used():
    assert admits(kept, kept) == [True, False]


def test_quota_is_whole_again():
    assert admits(kept, kept) == [True, False]


def test_without_the_marker(traffik_store, traffik_clock):
    one = Limiter("one", "1/min")
    assert admits(early, Limiter("late", "0/min"), free, one, one) == [False, False, False, True, False]
    traffik_clock.advance(seconds=60)
    assert admits(one) == [True]
"""


@pytest.fixture
def run(tmp_path):
    """Runs pytest on files of tests, in a project without any configuration."""

    def run(files, *options):
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", *options]
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()[-1]

    return run


@pytest.mark.parametrize("files", [FILES, {"test_marked.py": MARKED}], ids=["page", "marked"])
def test_the_tests_on_the_page_and_those_of_fixtures_and_markers_pass(run, files):
    assert run(files).startswith(f"{sum(text.count('def test_') for text in files.values())} passed")


def test_every_file_on_the_page_is_run():
    assert sorted(FILES) == ["test_login.py", "test_menu.py", "test_orders.py", "test_prices.py", "test_rates.py"]


def test_the_plugin_imports_nothing_before_a_test_needs_it(run):
    text = """
import sys

def test_imports():
    ours = sorted(name for name in sys.modules if name.partition(".")[0].startswith("traffik"))
    assert ours == ["traffik", "traffik.testing", "traffik.testing.plugin"]
    assert not {"aiohttp", "anyio", "django", "starlette"} & set(sys.modules)
"""
    assert run({"test_imports.py": text}, "-p", "no:anyio").startswith("1 passed")
