"""Tasks in several processes that reserve, settle, fail and are cancelled, and the units they have used in the end."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib import import_module

from tests.apart import apart
from traffik import Limiter, hit_all, reserve_all

__all__ = ["LIMIT", "book_in_processes", "left_in", "limits_in", "work_off"]

LIMIT = 600
TASKS, WORKS = 6, 12


def limits_in(store):
    """Two limits in a store. On a cluster, their keys are in different slots."""
    return [Limiter(f"booking:{uid}", f"{LIMIT}/day", backend=store) for uid in ("one", "two")]


def left_in(store):
    """The quota left of each limit."""
    return [limit.sync.stat("a").hits_remaining for limit in limits_in(store)]


def book_in_processes(make, where, processes=4):
    """Run the tasks in several processes; the units that they have used together.

    Args:
        make: ``module:name`` of a function that returns a store.
        where: the argument of the function.
    """
    with ProcessPoolExecutor(processes, mp_context=apart()) as pool:
        return sum(pool.map(_book, [make] * processes, [where] * processes, range(processes)))


def work_off(store, seed):
    """Run the tasks in one event loop; the units that they have used."""
    return asyncio.run(_work_off(limits_in(store), random.Random(seed)))


def _book(make, where, seed):
    module, _, name = make.partition(":")
    with getattr(import_module(module), name)(where) as store:
        return work_off(store, seed)


async def _work_off(limits, chance):
    async def work():
        return sum([await chance.choice((_hit, _reserve, _reserve, _cut))(limits, chance) for _ in range(WORKS)])

    return sum(await asyncio.gather(*(work() for _ in range(TASKS))))


async def _hit(limits, chance):
    cost = chance.randint(1, 8)
    return cost if await hit_all("a", *limits, cost=cost) else 0


async def _reserve(limits, chance):
    used = [0]
    await _reserve_into(used, limits, chance)
    return used[0]


async def _cut(limits, chance):
    """Reserve in a task that is cancelled at a random moment."""
    used = [0]
    task = asyncio.ensure_future(_reserve_into(used, limits, chance))
    for _ in range(chance.randint(0, 12)):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return used[0]


async def _reserve_into(used, limits, chance):
    estimate = chance.randint(1, 8)
    with suppress(ValueError):
        async with reserve_all("a", *limits, cost=estimate) as reservation:
            if not reservation:
                return
            await asyncio.sleep(0)
            if chance.random() < 0.3:
                raise ValueError
            used[0] = chance.randint(0, estimate)  # once settling has begun, it is completed
            await reservation.commit(used[0])
