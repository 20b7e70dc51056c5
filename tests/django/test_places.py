"""Patterns of `TRAFFIK["URLS"]`: the check and the middleware agree on the URL patterns that they match."""

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.core import checks
from django.http import HttpResponse
from django.urls import include, path, re_path
from django.views import View


def view(request, number=None):
    return HttpResponse()


class Page(View):
    def get(self, request):
        return HttpResponse()


LOGIN = path("login", view, name="login")
URLS = [
    path("quotes/<int:number>", view, name="quote"),
    path("unnamed", Page.as_view()),
    path("accounts/", include(([LOGIN, path("v2/", include(([LOGIN], "two")))], "accounts"))),
    re_path(r"^old/", include([re_path(r"^files/$", view)])),
    *i18n_patterns(path("news", view)),
]


@pytest.fixture
def found(serve_urls):
    """Runs the checks for these patterns; their messages."""

    def found(*patterns):
        serve_urls(*URLS, TRAFFIK={"THROTTLES": {"a": "5/s"}, "URLS": dict.fromkeys(patterns, "a")})
        return checks.run_checks(tags=["traffik"])

    return found


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "quote",
        "quotes/<int:number>",
        "test_places.Page",
        "accounts:login",
        "accounts:*",
        "accounts:two:*",
        "accounts/v2/*",
        "^old/files/$",
        "en-us/news",
        "de/news",
    ],
)
def test_a_pattern_for_a_view_is_accepted(found, pattern):
    pattern = f"{__name__}.Page" if pattern.endswith("Page") else pattern
    assert found(pattern) == []


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("qoute", "'quote'"),
        ("account:login", "'accounts:login'"),
        ("acounts:*", "'accounts:*'"),
        ("login", "'accounts:login'"),
        ("/accounts/*", "'accounts/"),
        ("elsewhere", "There are: "),
    ],
)
def test_a_pattern_that_matches_no_view_is_reported(found, pattern, hint):
    (message,) = found("quote", pattern)
    assert (message.id, repr(pattern) in message.msg, hint in message.hint) == ("traffik.E011", True, True)


def test_a_project_without_urls_is_not_checked(configured):
    configured(ROOT_URLCONF=None, TRAFFIK={"THROTTLES": {"a": "5/s"}, "URLS": {"b": "a"}})
    assert "traffik.E011" not in {message.id for message in checks.run_checks(tags=["traffik"])}


@pytest.mark.parametrize(
    ("where", "pattern"),
    [
        ("/quotes/5", "quote"),
        ("/unnamed", f"{__name__}.Page"),
        ("/accounts/v2/login", "accounts:two:login"),
        ("/accounts/v2/login", "accounts/v2/login"),
        ("/old/files/", "^old/files/$"),
        ("/en-us/news", "en-us/news"),
    ],
)
def test_an_accepted_pattern_limits_its_views(client, serve_urls, where, pattern):
    serve_urls(*URLS, TRAFFIK={"THROTTLES": {"a": "1/min"}, "URLS": {pattern: "a"}})
    assert [client.get(where).status_code for _ in range(2)] == [200, 429]
