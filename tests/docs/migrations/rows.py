"""The tables in docs/migrate/: each row has a peer's spelling, an expression of ours, and what differs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.docs.pages import ROOT, blocks

PAGES = sorted((ROOT / "docs" / "migrate").glob("*.md"))
READERS = "redis://localhost:6379/0"

_ROW = re.compile(r"^\| (?P<theirs>[^|]+) \| `(?P<ours>[^`]+)` \|", re.MULTILINE)


def rows(page: Path) -> dict[str, str]:
    """Our expressions on a page, by the text of the first column without its backticks."""
    return {found["theirs"].replace("`", ""): found["ours"] for found in _ROW.finditer(page.read_text("utf-8"))}


def run_programs(page: Path, url: str) -> dict[str, Any]:
    """Run the programs of a page with another Redis than the reader's; their names."""
    names: dict[str, Any] = {"__name__": f"page_{page.stem}"}
    for block in blocks(page):
        if block.kind == "python":
            exec(compile("\n" * (block.line - 1) + block.text.replace(READERS, url), page, "exec"), names)
    return names


def evaluate(expression: str, names: dict[str, Any], url: str) -> Any:
    return eval(compile(expression.replace(READERS, url), expression, "eval"), names)
