"""Each expression of the tables in docs/migrate/ runs, with the names of the programs on its page."""

from __future__ import annotations

import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.docs.pages import ROOT, blocks, title

TABLES = sorted((ROOT / "docs" / "migrate").glob("*.md"))
OURS = re.compile(r"^\| [^|]+ \| `(?P<code>[^`]+)` \|", re.MULTILINE)


def expressions(page):
    """The code in the second column of all tables."""
    return OURS.findall(page.read_text(encoding="utf-8").replace("\\|", "/"))


@pytest.mark.parametrize("page", [page for page in TABLES if expressions(page)], ids=title)
def test_what_stands_in_the_second_column_runs(page):
    programs = "\n".join(block.text for block in blocks(page) if block.kind == "python")
    # another process: the throttles of a page are of no use to other tests
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(run, programs, expressions(page)).result()


def run(programs, expressions):
    names = {}
    exec(programs, names)
    for each in expressions:
        eval(compile(each, each, "eval"), names)  # the traceback names the expression
