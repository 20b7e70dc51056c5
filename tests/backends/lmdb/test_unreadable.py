"""A state that cannot be read counts as no state."""

from __future__ import annotations

import pytest

from tests.backends.lmdb.conftest import environment_of
from traffik import FixedWindow, Limiter, TokenBucket
from traffik.backends.lmdb import LMDBBackend
from traffik.backends.lmdb.states import FIRST

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("one_file")]


async def in_async_code(limiter):
    return await limiter.hit("ada")


async def in_sync_code(limiter):
    return limiter.sync.hit("ada")


each_way = pytest.mark.parametrize("hit", [in_async_code, in_sync_code])


def damaged(store, change):
    """Change the stored value."""
    with environment_of(store).file.env.begin(write=True) as transaction:
        for key, value in list(transaction.cursor()):
            if key.startswith(FIRST):
                transaction.put(key, change(value))


@each_way
async def test_another_strategy_starts_afresh(directory, clock, hit):
    # Two stores, like an old and a new process during a deployment.
    old, new = (LMDBBackend(directory, clock=clock, on_error="raise") for _ in range(2))
    with old, new:
        before = Limiter("changed", "2/day", strategy=FixedWindow(), backend=old)
        assert [(await hit(before)).allowed for _ in range(3)] == [True, True, False]
        after = Limiter("changed", "2/day", strategy=TokenBucket(), backend=new)
        assert [(await hit(after)).allowed for _ in range(3)] == [True, True, False]


@each_way
@pytest.mark.parametrize(
    "change",
    [lambda value: value[:-1] + bytes([value[-1] ^ 1]), lambda value: value[:-2], lambda value: b"x"],
    ids=["another body", "cut short", "no head"],
)
async def test_a_damaged_state_starts_afresh(store, hit, change):
    with store:
        limiter = Limiter("damaged", "2/day", strategy=FixedWindow(), backend=store)
        assert [(await hit(limiter)).allowed for _ in range(3)] == [True, True, False]
        damaged(store, change)
        assert [(await hit(limiter)).allowed for _ in range(3)] == [True, True, False]
