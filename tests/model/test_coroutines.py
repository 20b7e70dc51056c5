"""Running coroutines in sync code."""

from __future__ import annotations

import asyncio
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from traffik.model.coroutines import must_wait, run_sync


async def echo(value):
    return value


async def fail():
    raise KeyError("a")


async def nested(depth):
    return depth if depth == 0 else run_sync(nested(depth - 1)) + 1


async def suspend():
    await asyncio.sleep(0)


def test_the_result_of_a_coroutine_is_returned():
    assert [run_sync(echo(value)) for value in (None, 1, "a", [])] == [None, 1, "a", []]


def test_a_coroutine_may_await_another_one():
    assert run_sync(nested(50)) == 50


def test_an_error_is_raised_and_the_next_coroutine_runs():
    for _ in range(3):
        with pytest.raises(KeyError):
            run_sync(fail())
        assert run_sync(echo(1)) == 1


def test_a_coroutine_that_suspends_is_an_error():
    for _ in range(3):
        with pytest.raises(TypeError, match="has to wait, so sync code cannot use it"):
            run_sync(suspend())
        assert run_sync(echo(1)) == 1


def test_threads_run_coroutines_concurrently():
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda value: run_sync(echo(value)), range(2000))) == list(range(2000))


def test_a_result_is_not_kept_alive():
    class Result:
        """An object that supports weak references."""

    found = weakref.ref(run_sync(echo(Result())))
    assert found() is None


class Awaitable:
    def __await__(self):
        yield


@pytest.mark.parametrize("answer", [None, "a", 7, [], 1.5])
def test_a_plain_answer_is_not_awaited(answer):
    assert not any(must_wait(answer, "the cost", sync) for sync in (False, True))


def test_an_async_answer_is_awaited_and_is_an_error_in_sync_code():
    for answer in (echo(1), Awaitable()):
        assert must_wait(answer, "the cost", False)
        with pytest.raises(TypeError, match="the cost is async, so sync code cannot use it"):
            must_wait(answer, "the cost", True)
    # the coroutine was closed; otherwise it would warn
