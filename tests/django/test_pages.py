"""The bodies of refusals: JSON for programs, a page for browsers."""

import asyncio
import threading

import pytest
from django.http import HttpResponse
from django.template import TemplateDoesNotExist
from django.urls import path
from django.utils.asyncio import async_unsafe

from tests.adapters.services import problem
from traffik import HTTPThrottle
from traffik_django import responses, throttled, throttles

pytestmark = pytest.mark.usefixtures("backend")

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
NAMED = "for {{ request.visitor.name }}"
JSON, PROBLEM, HTML = "application/json", "application/problem+json", "text/html; charset=utf-8"


def templates(**pages):
    loaders = [("django.template.loaders.locmem.Loader", pages)]
    processors = ["django.template.context_processors.request"]
    options = {"loaders": loaders, "context_processors": processors}
    return [{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": options}]


@pytest.fixture
def refused(client, serve_urls):
    """Gets the refusal for a client with these headers."""

    def refused(accept=None, pages=None):
        view = throttled("1/min", uid="page")(lambda request: HttpResponse())
        serve_urls(path("", view), TEMPLATES=[] if pages is None else templates(**pages))
        headers = {} if accept is None else {"Accept": accept}
        return [client.get("/", headers=headers) for _ in range(2)][1]

    return refused


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, PROBLEM),
        ("*/*", PROBLEM),
        (JSON, JSON),
        (PROBLEM, PROBLEM),
        (f"{PROBLEM}, {JSON};q=0.5", PROBLEM),
        (BROWSER, HTML),
        ("text/*", HTML),
        ("image/png", PROBLEM),
    ],
)
def test_the_kind_depends_on_the_accept_header(refused, accept, kind):
    response = refused(accept)
    assert (response.status_code, response.headers["Content-Type"]) == (429, kind)
    assert (response.headers["Retry-After"], response.headers["Vary"]) == ("60", "Accept")
    if kind != HTML:
        assert response.content == problem("Too many requests. Retry in 60 seconds.", "page")


def test_a_browser_gets_a_page(refused):
    text = refused(BROWSER).text
    assert "<h1>Too Many Requests</h1><p>Too many requests. Retry in 60 seconds.</p>" in text


def test_a_project_may_replace_the_page(refused):
    response = refused(BROWSER, {"429.html": "Wait {{ retry_after }} s: {{ detail }} {{ rejection.status }}"})
    assert response.text == "Wait 60 s: Too many requests. Retry in 60 seconds. 429"


def test_an_error_in_the_template_is_raised(refused):
    with pytest.raises(TemplateDoesNotExist, match=r"base\.html"):
        refused(BROWSER, {"429.html": "{% extends 'base.html' %}"})


class OnlySync:
    """A variable of a template whose lookup may block, like that of a user."""

    @property
    @async_unsafe("no database on an event loop")
    def name(self):
        return threading.current_thread().name


def refuse(request):
    HTTPThrottle("other", "0/min").sync.hit(request)


@pytest.mark.parametrize("way", ["everywhere", "by name", "decorator", "handler", "hit"])
def test_a_page_may_read_the_user_in_async_code_too(way, async_client, serve_urls):
    async def view(request):
        await throttles["none"].hit(request)

    def visited(request):
        request.visitor = OnlySync()
        return request.META["REMOTE_ADDR"]

    none = {"rate": "0/min", "identifier": visited}
    if way == "handler":
        none["handle_throttled"] = refuse
    urls = {"everywhere": {"*": "none"}, "by name": {"page": "none"}}.get(way, {})
    guarded = throttled("none")(view) if way in {"decorator", "handler"} else view
    settings = {"TRAFFIK": {"THROTTLES": {"none": none}, "URLS": urls}, "TEMPLATES": templates(**{"429.html": NAMED})}
    serve_urls(path("", guarded, name="page"), **settings)
    response = asyncio.run(async_client.get("/", headers={"Accept": BROWSER}))
    assert (response.status_code, response.text[:4]) == (429, "for ")
    assert response.text[4:] not in {"", threading.current_thread().name}


@pytest.mark.parametrize(("accept", "pages"), [(JSON, {"429.html": NAMED}), (BROWSER, {})], ids=["json", "built in"])
def test_a_response_without_a_template_uses_no_thread(accept, pages, async_client, serve_urls, monkeypatch):
    def leave(*args, **kwargs):
        raise AssertionError("left the event loop")

    monkeypatch.setattr(responses, "sync_to_async", leave)

    @throttled("0/min", uid="page")
    async def view(request):
        return HttpResponse()

    serve_urls(path("", view), TEMPLATES=templates(**pages))
    assert asyncio.run(async_client.get("/", headers={"Accept": accept})).status_code == 429
