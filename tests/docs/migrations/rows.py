"""The tables in docs/migrate/: each row has a peer's spelling, an expression of ours, and what differs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.docs.pages import ROOT, blocks

PAGES = sorted((ROOT / "docs" / "migrate").glob("*.md"))
READERS = "redis://localhost:6379/0"
FOLDER = "/dev/shm/shop"

_ROW = re.compile(r"^\| (?P<theirs>[^|]+) \| `(?P<ours>[^`]+)` \|", re.MULTILINE)


def rows(page: Path) -> dict[str, str]:
    """Our expressions on a page, by the text of the first column without its backticks."""
    return {found["theirs"].replace("`", ""): found["ours"] for found in _ROW.finditer(page.read_text("utf-8"))}


def replace_all(text: str, ours: dict[str, str]) -> str:
    """`text` with our Redis and our folder in place of the reader's."""
    for readers, other in ours.items():
        text = text.replace(readers, other)
    return text


def run_programs(page: Path, ours: dict[str, str]) -> dict[str, Any]:
    """Run the programs of a page; their names."""
    names: dict[str, Any] = {"__name__": f"page_{page.stem}"}
    for block in blocks(page):
        if block.kind == "python":
            exec(compile("\n" * (block.line - 1) + replace_all(block.text, ours), page, "exec"), names)
    return names


def evaluate(expression: str, names: dict[str, Any], ours: dict[str, str]) -> Any:
    return eval(compile(replace_all(expression, ours), expression, "eval"), names)
