"""docs/options.md names every option and its default, as the code has them."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (`[^\n]+`)\n\n((?:\|[^\n]+\n)+)", PAGE, re.MULTILINE)
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<default>–|`[^|]+`) \|", re.MULTILINE)
NAMED = [(name, table) for heading, table in SECTIONS for name in re.findall(r"`([\w.]+)`", heading)]


@pytest.mark.parametrize(("name", "table"), NAMED, ids=[name for name, _ in NAMED])
def test_a_table_has_the_options_of_the_code(name, table):
    module, _, attribute = name.rpartition(".")
    made = getattr(importlib.import_module(module), attribute)
    parameters = inspect.signature(made.__init__ if isinstance(made, type) else made).parameters
    written = {row["name"]: row["default"].strip("`") for row in ROW.finditer(table)}
    assert written == {name: default_of(each) for name, each in parameters.items() if name != "self"}


def default_of(parameter):
    if parameter.default is parameter.empty:
        return "–"
    default = parameter.default
    return f"time.{default.__name__}" if callable(default) else repr(default)
