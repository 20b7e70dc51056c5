"""A decorator above a route is reported, and one below it is not, also among other decorators."""

from __future__ import annotations

import functools

import pytest

from traffik import ConfigurationError, HTTPThrottle, notices
from traffik.throttles.placement import _decorated, misplaced, note_decorated, report_misplaced


def wrapped(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


def guarded(function):
    guard = wrapped(function)
    note_decorated(guard)
    return guard


@pytest.fixture
def endpoint():
    def endpoint(request): ...

    return endpoint


def said():
    return [notice.id for notice in notices.said()]


def test_the_undecorated_function_on_a_route_is_reported(endpoint):
    guarded(endpoint)
    report_misplaced([endpoint])
    (notice,) = notices.said()
    assert notice.id == "misplaced-decorator"
    assert f"runs the undecorated {endpoint.__qualname__}, so put @throttled below the route" in notice.sentence


def test_a_guard_around_another_decorator_above_the_route_is_reported(endpoint):
    guard = guarded(wrapped(endpoint))
    report_misplaced([endpoint])
    assert said() == ["misplaced-decorator"]
    assert guard.__wrapped__.__wrapped__ is endpoint


def test_the_guard_itself_on_a_route_is_not_reported(endpoint):
    report_misplaced([guarded(endpoint)])
    assert said() == []


def test_another_decorator_around_the_guard_is_not_reported(endpoint):
    report_misplaced([wrapped(guarded(wrapped(endpoint)))])
    assert said() == []


def test_two_nested_guards_are_not_reported(endpoint):
    report_misplaced([guarded(guarded(endpoint))])
    assert said() == []


def test_the_function_and_the_guard_on_two_routes_are_not_reported(endpoint):
    report_misplaced([endpoint, guarded(endpoint)])
    assert said() == []


def test_a_callable_without_weak_references_is_ignored():
    report_misplaced([len, [].append])
    assert said() == []


def test_a_function_that_is_decorated_for_each_request_takes_no_more_memory(endpoint):
    for _ in range(1000):
        guarded(endpoint)
    assert len(_decorated[endpoint]) == 16
    report_misplaced([endpoint])
    assert said() == ["misplaced-decorator"]


class TestAThrottleAsADecorator:
    def test_it_is_an_error_that_shows_the_right_form(self, endpoint):
        replaced = HTTPThrottle("decorator", "1/min")(endpoint)
        with pytest.raises(ConfigurationError, match=r"decorates .*endpoint, .*: write @throttled\(throttle\)"):
            report_misplaced([replaced])
        replaced.close()

    def test_above_a_route_it_is_an_error_too(self, monkeypatch):
        replaced = HTTPThrottle("decorator", "1/min")(handler)
        monkeypatch.setitem(globals(), "handler", replaced)
        with pytest.raises(ConfigurationError, match="decorates handler, and replaces it"):
            report_misplaced([replaced.cr_frame.f_locals["connection"]])
        replaced.close()


def handler(request): ...


def test_a_function_that_cannot_be_hashed_has_no_decorator():
    class Unhashable:
        __hash__ = None

        def __call__(self, request): ...

    assert misplaced([Unhashable()]) == []
