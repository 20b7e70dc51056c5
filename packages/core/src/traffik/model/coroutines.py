"""Coroutine functions that async and sync code share. They await only what has to be awaited.

Async code awaits them. Sync code steps them once with `run_sync`: then they make blocking calls and never suspend.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Coroutine, Generator
from types import CoroutineType
from typing import Any, TypeGuard, TypeVar

from traffik.model.callables import PLAIN, discard
from traffik.model.descriptions import describe

__all__ = ["must_wait", "run_sync"]

_T = TypeVar("_T")


def run_sync(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """The result of a coroutine that never suspends, for sync code."""
    runner: Any
    try:
        runner = _idle.pop()
    except IndexError:
        runner = _new_runner()
    result: _T = runner.send(coroutine)
    if runner.gi_yieldfrom is None:
        _idle.append(runner)
        return result
    coroutine.close()
    raise TypeError(f"{describe(coroutine)} has to wait, so sync code cannot use it: await the throttle itself")


@types.coroutine
def _run() -> Generator[Any, Any, None]:
    """Yields the result of each coroutine that it is sent. The StopIteration of `coroutine.send` would take longer."""
    coroutine = yield
    while True:
        coroutine = yield (yield from coroutine)


def _new_runner() -> Any:
    runner: Any = _run()
    runner.send(None)
    return runner


_idle: list[Any] = []
"""Runners that run nothing now. One that ends with an error is not among them any more."""


def must_wait(answer: object, name: str, sync: bool) -> TypeGuard[Awaitable[Any]]:
    """Whether `answer` has to be awaited.

    Raises:
        TypeError: it has to be awaited, and this is sync code.
    """
    if isinstance(answer, PLAIN) or (type(answer) is not CoroutineType and not isinstance(answer, Awaitable)):
        return False
    if sync:
        discard(answer)
        raise TypeError(f"{name} is async, so sync code cannot use it: await the throttle itself, or make it sync")
    return True
