"""The commands, extras and files that a page mentions exist."""

from __future__ import annotations

import re
import tomllib

from tests.docs.pages import PAGES, ROOT, blocks, title


def on_pages(find):
    """What a function finds, by the page that has it."""
    return {title(page): found for page in PAGES if (found := find(page, page.read_text(encoding="utf-8")))}


def test_every_verb_exists():
    known = set(re.findall(r"^@nox\.session\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
    assert on_pages(lambda _, text: set(re.findall(r"noxfile\.py -s (\w+)", text)) - known) == {}


def test_every_extra_exists():
    core = tomllib.loads((ROOT / "packages/core/pyproject.toml").read_text())
    known = set(core["project"]["optional-dependencies"])
    assert on_pages(lambda _, text: set(re.findall(r"traffik\[(\w+)\]", text)) - known) == {}


def test_every_called_program_exists():
    def missing(page, text):
        commands = "".join(block.text for block in blocks(page) if block.kind == "console")
        called = re.findall(r"python3? ([\w/]+\.py)", commands)
        written = {"manage.py", *re.findall(r"^# (\w+\.py)$", text, re.MULTILINE)}
        return [name for name in called if not (name in written or (ROOT / name).is_file())]

    assert on_pages(missing) == {}


def test_every_link_to_a_file_is_valid():
    def broken(page, text):
        links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text)
        return [link for link in links if not (page.parent / link).exists()]

    assert on_pages(broken) == {}
