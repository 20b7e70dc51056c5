"""The commands, extras and files that a page mentions exist."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, title


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_verb_exists(page):
    known = set(re.findall(r"^@nox\.session\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
    assert set(re.findall(r"noxfile\.py -s (\w+)", page.read_text(encoding="utf-8"))) <= known


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_extra_exists(page):
    core = tomllib.loads((ROOT / "packages/core/pyproject.toml").read_text())
    assert set(re.findall(r"traffik\[(\w+)\]", page.read_text(encoding="utf-8"))) <= set(
        core["project"]["optional-dependencies"]
    )


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_called_program_exists(page):
    commands = "".join(block.text for block in blocks(page) if block.kind == "console")
    called = re.findall(r"python3? ([\w/]+\.py)", commands)
    written = {"manage.py", *re.findall(r"^# (\w+\.py)$", page.read_text(encoding="utf-8"), re.MULTILINE)}
    assert [name for name in called if not (name in written or (ROOT / name).is_file())] == []


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_link_to_a_file_is_valid(page):
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
