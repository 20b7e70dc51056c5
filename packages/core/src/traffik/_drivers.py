"""The only two loops: they carry out the steps of a recipe, one for async code and one for sync code.

A recipe yields a step only where something may really have to wait. The drivers wait; they decide nothing.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar, assert_never

from traffik._misconfiguration import waiting_on_a_loop

if TYPE_CHECKING:
    from traffik.backends.base import Backend, Charge

__all__ = ["Apply", "Recipe", "Reset", "Step", "Wait", "drive", "drive_sync", "sleep"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for what a function of the caller's, or an adapter, has answered with."""

    awaitable: Awaitable[Any]
    name: str


# A named tuple, since one is made for every hit.
class Apply(NamedTuple):
    """Ask a store."""

    backend: Backend
    charges: Sequence[Charge]


@dataclass(frozen=True, slots=True)
class Reset:
    """Let a store forget one key."""

    backend: Backend
    uid: str
    key: str


Step: TypeAlias = Wait | Apply | Reset
Recipe: TypeAlias = Generator[Step, Any, T]


async def drive(recipe: Recipe[T]) -> T:
    """Carry out a recipe in async code."""
    answer = None
    while True:
        try:
            step = recipe.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        # The most frequent step by far, written out: one coroutine less to wake.
        answer = await (step.backend.apply(step.charges) if type(step) is Apply else _carry_out(step))


def drive_sync(recipe: Recipe[T]) -> T:
    """Carry out a recipe in sync code.

    Raises:
        TypeError: the recipe needs something that only async code can do; the message names it.
    """
    answer = None
    while True:
        try:
            step = recipe.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        answer = _carry_out_sync(step)


async def sleep(wait: int) -> None:
    """Let `wait` µs pass."""
    import anyio  # here, since only those who pause need it

    await anyio.sleep(wait / 1_000_000)


async def _carry_out(step: Step) -> Any:
    match step:
        case Apply(backend, charges):
            return await backend.apply(charges)
        case Wait(awaitable):
            return await awaitable
        case Reset(backend, uid, key):
            return await backend.reset(uid, key)
        case _:
            assert_never(step)


def _carry_out_sync(step: Step) -> Any:
    match step:
        case Apply(backend, charges):
            if charges and not backend.in_process and _in_event_loop():
                waiting_on_a_loop(charges[0].uid)
            return backend.apply_sync(charges)
        case Reset(backend, uid, key):
            return backend.reset_sync(uid, key)
        case Wait(awaitable, name):
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise TypeError(f"{name} is async, so sync code cannot use it: await the throttle itself, or make it sync")
        case _:
            assert_never(step)


def _in_event_loop() -> bool:
    """Whether this thread runs asyncio's loop; who has not imported asyncio does not."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None
