"""What a refused client reads: JSON for programs, a page for browsers."""

import pytest
from django.http import HttpResponse
from django.template import TemplateDoesNotExist
from django.urls import path

from tests.adapters.services import problem
from traffik_django import throttled

pytestmark = pytest.mark.usefixtures("backend")

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
JSON, PROBLEM, HTML = "application/json", "application/problem+json", "text/html; charset=utf-8"


def templates(**pages):
    loaders = [("django.template.loaders.locmem.Loader", pages)]
    return [{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": loaders}}]


@pytest.fixture
def refused(client, serve_urls):
    """The refusal that a client with these headers gets."""

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
def test_the_kind_is_what_the_client_takes(refused, accept, kind):
    response = refused(accept)
    assert (response.status_code, response.headers["Content-Type"]) == (429, kind)
    assert (response.headers["Retry-After"], response.headers["Vary"]) == ("120", "Accept")
    if kind != HTML:
        assert response.content == problem("Too many requests. Retry in 120 seconds.", "page")


def test_a_browser_gets_a_page(refused):
    text = refused(BROWSER).text
    assert "<h1>Too Many Requests</h1><p>Too many requests. Retry in 120 seconds.</p>" in text


def test_a_project_may_have_a_page_of_its_own(refused):
    response = refused(BROWSER, {"429.html": "Wait {{ retry_after }} s: {{ detail }} {{ rejection.status }}"})
    assert response.text == "Wait 120 s: Too many requests. Retry in 120 seconds. 429"


def test_a_page_that_is_broken_says_so(refused):
    with pytest.raises(TemplateDoesNotExist, match=r"base\.html"):
        refused(BROWSER, {"429.html": "{% extends 'base.html' %}"})
