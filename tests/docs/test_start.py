"""The short programs of docs/start.md refuse the sixth request, each by itself. Other pages show the same programs."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from types import ModuleType

import pytest
from flask import Flask
from starlette.testclient import TestClient

from tests.aiohttp_server import calling
from tests.docs.pages import ROOT, blocks

START = ROOT / "docs" / "start.md"
PROGRAMS = {
    block.text.split("\n")[1].split()[1].partition(".")[0]: block.text
    for block in blocks(START)
    if block.text.startswith("# main.py\n")
}
FILES = [block.text for block in blocks(START) if block.text.startswith("# ")]


@pytest.fixture
def app(framework, monkeypatch):
    """The application of a program."""
    main = ModuleType("main")
    monkeypatch.setitem(sys.modules, "main", main)
    exec(PROGRAMS[framework], vars(main))
    return main.app


def test_there_is_a_program_for_each_framework():
    assert set(PROGRAMS) == {"fastapi", "aiohttp", "flask", "litestar"}


@pytest.mark.parametrize("framework", ["fastapi", "flask", "litestar"])
def test_the_sixth_request_is_refused(framework, app):
    client = app.test_client() if isinstance(app, Flask) else TestClient(app)
    with client if framework == "fastapi" else nullcontext():
        assert [client.get("/data").status_code for _ in range(6)] == [200] * 5 + [429]


@pytest.mark.parametrize("framework", ["aiohttp"])
def test_the_sixth_request_to_aiohttp_is_refused(app):
    async def ask():
        async with calling(app) as session:
            return [(await session.get("/data")).status for _ in range(6)]

    assert asyncio.run(ask()) == [200] * 5 + [429]


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_other_pages_show_the_same_programs(page):
    shown = [block.text for block in blocks(ROOT / page) if block.kind == "python" and block.text.startswith("# ")]
    assert shown
    assert [text for text in shown if text not in FILES] == []
