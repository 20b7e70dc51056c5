"""Every program on a page runs, and prints what the page says it prints.

The Python blocks of a page share their names, so a block may continue the one above. A text block right after it has
its output. The applications of a page are started and get a request for each GET route; an error without a response
fails the test. The contract tests on a page are run. A page that configures Django runs in a separate process. A block
that names its file in a Django project, as in ``# shop/urls.py``, is run by `tests/django/test_first_steps.py`.

The tests replace the reader's Redis by an empty server of ours, and the directories for quota by empty ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
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
from tests.apart import apart
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
    """A server, started when the first page needs it."""
    with server() as one:
        yield one


@pytest.fixture
def address(page, request):
    """The URL that replaces `READERS` in the programs of a page."""
    if READERS not in page.read_text(encoding="utf-8"):
        return READERS
    one = request.getfixturevalue("redis_server")
    one.command("FLUSHALL")
    return f"{one.url}/0"


@pytest.fixture(autouse=True)
def nothing_made_before(monkeypatch):
    """Forget the stores, limits and settings of other pages."""
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
    # A process can have only one Django project, and this process has that of other tests.
    with ProcessPoolExecutor(1, apart()) as pool:
        pool.submit(run_page, page, ours).result()


def run_page(page, ours):
    """Run the programs of a page, with our server and folders instead of the reader's, and test their applications."""
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


def test_every_block_says_what_it_is():
    run, shown = {"python", "text", "json", "http", "console", "toml"}, {"py", "nginx", "docker", "yaml"}
    for page in PAGES:
        fences = re.findall(r"^ *```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert {fence.split(" ")[0] for fence in fences[::2]} <= run | shown, page


def run(block, page, module, ours):
    """Run a block; its output."""
    text = block.text
    for readers, other in ours.items():
        text = text.replace(readers, other)
    code = compile("\n" * (block.line - 1) + text, page, "exec")
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(code, vars(module))
    return output.getvalue()


def keep(contract):
    """Run the contract tests of a class."""
    for name in dir(contract):
        if name.startswith("test_"):
            getattr(contract, name)()


def ask_django(patterns, start="/"):
    """Send a GET for every URL of a Django project."""
    from django.test import Client

    for pattern in patterns:
        where = f"{start}{pattern.pattern}"
        if hasattr(pattern, "url_patterns"):
            ask_django(pattern.url_patterns, where)
        else:
            response = Client().get(where)
            assert (response.status_code, "RateLimit" in response.headers) == (200, True), where


async def ask(app):
    """Send a GET for every route without parameters."""
    paths = [route.path for route in app.routes if isinstance(route, Route) and "GET" in (route.methods or ())]
    async with app.router.lifespan_context(app):
        for path in paths:
            response = await get(app, re.sub(r"{.*?}", "1", path))
            assert response.status_code not in {404, 405}, path


async def ask_aiohttp(app, apps):
    """Send a GET for every route of an aiohttp application, mounted ones included. (aiohttp answers errors itself.)"""
    if any(app in subapps_of(other) for other in apps):
        return
    routes = [route for route in app.router.routes() if route.method in {"GET", "*"}]
    async with calling(app) as session:
        for route in routes:
            path = re.sub(r"{.*?}", "1", route.resource.canonical)
            async with session.get(path) as answer:
                assert answer.status not in {404, 405, 500}, path
