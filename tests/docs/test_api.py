"""The API reference has every name that a program imports."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from tests.docs.pages import PAGES, ROOT, blocks

DOCUMENTED = {
    name
    for page in (ROOT / "docs" / "api").glob("*.md")
    for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
}
PACKAGES = ("traffik", "traffik_aiohttp", "traffik_asgi", "traffik_django", "traffik_starlette", "traffik_wsgi")
MEMBERS = re.compile(r"^::: (\S+)\n    options:\n(?:      .*\n)*?      members:\n((?:        - \w+\n)+)", re.MULTILINE)
IMPORT = re.compile(r"^ *from (traffik\S*) import (?:\(([^)]*)\)|([^(\n]*))$", re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_reference_has_every_public_name(package):
    names = importlib.import_module(package).__all__
    assert [name for name in names if f"{package}.{name}" not in DOCUMENTED] == []


def imported():
    programs = [block.text for page in PAGES for block in blocks(page) if block.kind == "python"]
    programs += [path.read_text(encoding="utf-8") for path in (ROOT / "examples").rglob("*.py")]
    for module, *lists in IMPORT.findall("\n".join(programs)):
        for name in re.split(r"[,\s]+", re.sub(r"#.*| as \w+", "", "".join(lists))):
            if name:
                yield module, name


def test_the_reference_has_every_name_that_the_docs_import():
    modules = {name.rpartition(".")[0] for name in DOCUMENTED}
    assert sorted({f"{module}.{name}" for module, name in imported()} - DOCUMENTED - modules) == []


def test_the_reference_shows_no_member_that_is_gone():
    texts = [page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md")]
    listed = [found for text in texts for found in MEMBERS.findall(text)]
    assert len(listed) > 10
    assert [f"{name}.{each}" for name, members in listed for each in members_gone(name, members)] == []


def members_gone(name, members):
    module, _, attribute = name.rpartition(".")
    made = getattr(importlib.import_module(module), attribute)
    source = "".join(inspect.getsource(each) for each in made.__mro__ if each.__module__.startswith("traffik"))
    return [each for each in re.findall(r"\w+", members) if not (hasattr(made, each) or f"self.{each}: " in source)]
