"""Published ways to escape other limiters with another spelling of path or method, none of which works here.

(The tests named `test_spellings.py` try them on real servers, which decode percent-encoding.)
"""

from __future__ import annotations

import posixpath
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import toy
from traffik import HTTPThrottle, Rule
from traffik.backends.inmemory import InMemoryBackend
from traffik.rules.paths import normal_path


def refuses(*rules, path, method="GET"):
    throttle = HTTPThrottle("paths", "0/min", rules=rules, backend=InMemoryBackend())
    return not throttle.sync.decide(toy.Request(path=path, method=method)).allowed


@pytest.mark.parametrize("path", ["//sign-in", "/sign-in//", "///sign-in", "//api//sign-in"])
def test_repeated_slashes_do_not_escape(path):
    """GHSA-x732-6j76-qmhm: the router took ``//path`` for ``/path``, and the limits by path did not."""
    assert refuses(Rule("/**/sign-in"), path=path)
    assert refuses(Rule("/sign-in"), Rule("/api/sign-in"), path=path)


@pytest.mark.parametrize("path", ["/login/", "/./login", "/login/.", "/api/../login", "/../login"])
def test_a_trailing_slash_and_dot_segments_do_not_escape(path):
    """CWE-551: the limit was decided before the path was in its normal form."""
    assert refuses(Rule("/login"), path=path)


@pytest.mark.parametrize("path", ["/health/../login", "/health/./../login", "/health//../login", "/login/../health"])
def test_dot_segments_do_not_win_a_bypass(path):
    """A request that is spelled like a bypassed one, but reaches another route, is counted."""
    assert refuses(Rule("/health/**", bypass=True), path=path)


@pytest.mark.parametrize("path", ["/api/items\n", "/users/7/orders\n", "/items/a.js\n", "/verify/7\n"])
def test_a_newline_at_the_end_does_not_escape(path):
    """A route that ends in ``$`` also matches a path with a newline at its end, but the limits did not."""
    rules = [Rule("/api/items"), Rule("/users/*/orders"), Rule("/items/*.js"), Rule(re.compile(r"/verify/\d+"))]
    assert refuses(*rules, path=path)
    assert refuses(*(Rule(rule.path, bypass=True) for rule in rules), path=path)


@pytest.mark.parametrize("path", ["/s/.%2Ff.zip", "/s/x%2F..%2Ff.zip", "/s/private%2Ff.zip", "/s/../static/f.zip"])
def test_another_path_to_a_file_does_not_escape(path):
    """A file server resolves paths that rules and router read as another file."""
    assert refuses(Rule("/s/f.zip"), Rule("/s/private/**"), path=path)


def test_the_method_head_counts_as_get():
    assert refuses(Rule("/search", methods=["GET"]), path="/search", method="HEAD")


@pytest.mark.parametrize("method", ["post", "Post"])
def test_a_method_in_another_case_does_not_escape(method):
    assert refuses(Rule("/login", methods=["POST"]), path="/login", method=method)


def test_a_segment_that_the_client_chooses_is_not_in_the_key():
    """The key contained the raw path, so each guessed code had a new quota."""
    throttle = HTTPThrottle("paths", "2/min", rules=[Rule("/verify/*")], backend=InMemoryBackend())
    allowed = [throttle.sync.decide(toy.Request(path=f"/verify/{code}")).allowed for code in range(4)]
    assert allowed == [True, True, False, False]


@given(st.lists(st.sampled_from(["api", "login", ".", "..", "", "x"]), max_size=8), st.sampled_from(["", "/"]))
def test_no_spelling_of_a_limited_path_escapes_nor_is_bypassed(segments, end):
    path = f"/{'/'.join(segments)}{end}"
    plain = posixpath.normpath(path).replace("//", "/")  # POSIX allows two slashes at the beginning
    assert normal_path(path) == plain
    assert refuses(Rule(plain), path=path)
    assert refuses(Rule(path="/api/login", bypass=True), path=path) or plain == "/api/login"
