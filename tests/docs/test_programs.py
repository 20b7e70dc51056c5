"""Every program on a page runs, and prints what the page says it prints.

A Python block is a program of its own or goes on where the one above stopped: the blocks of a page share their names.
A text block right after it is what it prints. The applications that a page makes are started and asked at every GET
route they have; an error that they do not answer themselves fails the test. Contracts that are subclassed are kept.
A page that configures Django is run in a process of its own. A block that names its file in a Django project, as in
``# shop/urls.py``, is run in such a project by `tests/django/test_first_steps.py`.

Where a page means the server in Redis that its reader has, one of ours takes its place, empty; and where it means a
directory for quota, an empty one.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import multiprocessing
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from types import ModuleType
from weakref import WeakSet

import pytest
from aiohttp import web
from starlette.applications import Starlette
from starlette.routing import Route

from tests.aiohttp_server import calling
from tests.backends.redis.servers import server
from tests.callers import get
from tests.docs.pages import PAGES, blocks, title
from traffik.adapters import subapps_of
from traffik.backends import binding
from traffik.identities import trust
from traffik.limits import groups, uids
from traffik.testing import StrategyContract

READERS = "redis://localhost:6379/0"
PLACES = ("/dev/shm/shop", "/var/lib/shop")


@pytest.fixture(scope="module")
def redis_server():
    """Started when the first page needs it."""
    with server() as one:
        yield one


@pytest.fixture
def address(page, request):
    """What a page's programs find where it says `READERS`."""
    if READERS not in page.read_text(encoding="utf-8"):
        return READERS
    one = request.getfixturevalue("redis_server")
    one.command("FLUSHALL")
    return f"{one.url}/0"


@pytest.fixture(autouse=True)
def nothing_made_before(monkeypatch):
    """A reader has the programs of no other page running."""
    monkeypatch.setattr(uids, "_claimed", {})
    monkeypatch.setattr(trust.current, "proxies", None)
    monkeypatch.setattr(binding, "_made", WeakSet())
    yield
    groups.forget_groups()


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_program_runs(page, address, tmp_path):
    ours = {READERS: address} | {place: f"{tmp_path}{place.replace('/', '-')}" for place in PLACES}
    if "settings.configure(" not in page.read_text(encoding="utf-8"):
        run_page(page, ours)
        return
    # A process has one Django project, and this one has that of the other tests.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(run_page, page, ours).result()


def run_page(page, ours):
    """Run the programs of a page, with our server and folders in place of the reader's, and test their applications."""
    module = sys.modules[f"page_{page.stem}"] = ModuleType(f"page_{page.stem}")
    apps = {}
    for block, after in pairwise([*blocks(page), None]):
        if block.kind == "python" and not re.match(r"# \w+/", block.text):
            printed = run(block, page, module, ours)
            if after is not None and after.kind == "text":
                assert after.text == printed
            apps |= {id(app): app for app in vars(module).values() if isinstance(app, Starlette | web.Application)}
    for app in apps.values():
        asyncio.run(ask(app) if isinstance(app, Starlette) else ask_aiohttp(app, apps.values()))
    for contract in vars(module).values():
        if isinstance(contract, type) and StrategyContract in contract.__bases__:
            keep(contract())
    if hasattr(module, "urlpatterns"):
        ask_django(module.urlpatterns)


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_block_says_what_it_is(page):
    fences = re.findall(r"^ *```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert {fence.split(" ")[0] for fence in fences[::2]} <= {
        "python",
        "text",
        "json",
        "http",
        "console",
        "mermaid",
        "toml",
    }


def run(block, page, module, ours):
    """What the block prints."""
    text = block.text
    for readers, other in ours.items():
        text = text.replace(readers, other)
    code = compile("\n" * (block.line - 1) + text, page, "exec")
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(code, vars(module))
    return output.getvalue()


def keep(contract):
    """Run the tests of a contract."""
    for name in dir(contract):
        if name.startswith("test_"):
            getattr(contract, name)()


def ask_django(patterns, start="/"):
    """Ask once for every URL of a Django project."""
    from django.test import Client

    for pattern in patterns:
        where = f"{start}{pattern.pattern}"
        if hasattr(pattern, "url_patterns"):
            ask_django(pattern.url_patterns, where)
        else:
            response = Client().get(where)
            assert (response.status_code, "RateLimit" in response.headers) == (200, True), where


async def ask(app):
    """Ask once for everything that can be had with a plain GET."""
    paths = [route.path for route in app.routes if isinstance(route, Route) and "GET" in (route.methods or ())]
    async with app.router.lifespan_context(app):
        for path in paths:
            response = await get(app, re.sub(r"{.*?}", "1", path))
            assert response.status_code not in {404, 405}, path


async def ask_aiohttp(app, apps):
    """The same of an aiohttp application; one that is mounted in another is asked there. (It answers its errors.)"""
    if any(app in subapps_of(other) for other in apps):
        return
    routes = [route for route in app.router.routes() if route.method in {"GET", "*"}]
    async with calling(app) as session:
        for route in routes:
            path = re.sub(r"{.*?}", "1", route.resource.canonical)
            async with session.get(path) as answer:
                assert answer.status not in {404, 405, 500}, path
