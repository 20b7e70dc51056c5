"""Functions given as options get as many of the offered arguments as they take."""

from __future__ import annotations

import functools
import pickle
from inspect import CORO_CLOSED, getcoroutinestate, isawaitable
from operator import attrgetter

import pytest

from traffik.model.callables import callback, check_context, discard, then
from traffik.model.coroutines import run_sync

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


def test_a_callback_is_pickled_by_the_function():
    copy = pickle.loads(pickle.dumps(callback("the cost", later, OFFERED)))
    assert (copy.function, copy.name) == (later, "the cost later")


@pytest.mark.parametrize("context", [None, {}, {"scope": "a"}, {"scope": None}, {"scope": 7, "plan": object()}])
def test_a_context_is_a_mapping(context):
    assert check_context(context) is context


@pytest.mark.parametrize(
    ("context", "words"),
    [("a", "a context is a mapping, such as .*, not 'a'"), ({"scope": 1.5}, r"the scope is text, .* not 1\.5")],
)
def test_another_context_is_an_error(context, words):
    with pytest.raises(TypeError, match=words):
        check_context(context)


async def later(value):
    return value


@pytest.mark.parametrize("go_on", [lambda value: value + 1, lambda value: later(value + 1)], ids=["sync", "async"])
@pytest.mark.parametrize("answer", [lambda: 6, lambda: later(6)], ids=["sync", "async"])
def test_a_function_goes_on_with_an_answer_that_may_be_awaited(answer, go_on):
    async def wait(found):
        return await found if isawaitable(found) else found

    assert run_sync(wait(then(answer(), go_on))) == 7


def test_an_answer_that_is_not_needed_is_closed():
    coroutine = later(6)
    discard(then(coroutine, lambda value: value))
    assert getcoroutinestate(coroutine) == CORO_CLOSED
    discard(Endless())


class Endless:
    """An awaitable that cannot be closed."""

    def __await__(self):
        yield
