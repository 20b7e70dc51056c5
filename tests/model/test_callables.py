"""Functions given as options get as many of the offered arguments as they take."""

from __future__ import annotations

import functools
from operator import attrgetter

import pytest

from traffik.model.callables import callback

OFFERED = ("connection", "context")


class Method:
    def sync(self, connection):
        return [connection]


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (lambda: [0], [0]),
        (lambda one: [one], [1]),
        (lambda one, two: [one, two], [1, 2]),
        (lambda one, context=None: [one, context], [1, 2]),
        (lambda one, plan="free": [one, plan], [1, "free"]),  # a parameter with a default keeps its default
        (lambda *every: [*every], [1, 2]),
        (lambda one, **options: [one, options], [1, {}]),
        (lambda one, *, key=3: [one, key], [1, 3]),
        (Method().sync, [1]),
        (functools.partial(lambda zero, one: [zero, one], 0), [0, 1]),
    ],
)
def test_a_function_gets_as_many_arguments_as_it_takes(function, answer):
    assert callback("the cost", function, OFFERED).call(1, 2) == answer


def test_a_builtin_without_a_signature_gets_the_first_argument():
    assert callback("the identifier", attrgetter("real"), OFFERED).call(7, {}) == 7


@pytest.mark.parametrize("function", [lambda one, two, three: 0, lambda *, key: 0])
def test_a_function_with_more_parameters_is_an_error(function):
    with pytest.raises(TypeError, match=r"the cost .* cannot be called with \(connection, context\) or fewer"):
        callback("the cost", function, OFFERED)


@pytest.mark.parametrize("no_function", [5, "a", object()])
def test_an_object_that_cannot_be_called_is_an_error(no_function):
    with pytest.raises(TypeError, match=r"the identifier .* cannot be called"):
        callback("the identifier", no_function, OFFERED)


def test_a_callback_is_named_by_its_use_and_its_function():
    assert callback("the cost", Method().sync, OFFERED).name == "the cost Method.sync"
