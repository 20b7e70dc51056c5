"""The commands on a page print what it shows: console blocks in order, in one folder, in a real shell."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, title

COMMANDS = [
    page for page in PAGES if page.stem != "README" and any(block.text.startswith("traffik ") for block in blocks(page))
]


@pytest.fixture
def folder(tmp_path):
    """A folder with the command on the path, and the examples."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "traffik"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m traffik_cli "$@"\n')
    command.chmod(0o755)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


@pytest.mark.parametrize("page", COMMANDS, ids=title)
def test_every_command_prints_what_the_page_says(page, folder):
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    environ = os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "120"}
    for block, after in pairwise([*blocks(page), None]):
        if not block.text.startswith("traffik ") or "redis://" in block.text:  # see tests/cli
            continue
        done = subprocess.run(
            block.text, shell=True, cwd=folder, env=environ, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        if after is not None and after.kind == "text":
            assert [line.rstrip() for line in after.text.splitlines()] == [
                line.rstrip() for line in done.stdout.splitlines()
            ]


def test_some_pages_show_commands():
    assert {"choose-a-limit", "cli"} <= {page.stem for page in COMMANDS}
