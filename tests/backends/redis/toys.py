"""Two simple stores in Redis that test the test tools: a wrong one and a slow one."""

from __future__ import annotations

import pickle
import time

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from traffik.backends.base import Backend
from traffik.strategies import probe


class Racy(Backend):
    """Reads, decides and writes in three separate steps, so concurrent hits are lost."""

    def __init__(self, url):
        super().__init__()
        self.url = url

    def open_sync(self):
        self.client = Redis.from_url(self.url)

    def close_sync(self):
        self.client.close()

    async def open(self):
        self.client = AsyncRedis.from_url(self.url)

    async def close(self):
        await self.client.aclose()

    def apply_sync(self, charges):
        return [self.step_sync(charge, self.partition_key(charge.uid, charge.key)) for charge in charges]

    async def apply(self, charges):
        return [await self.step(charge, self.partition_key(charge.uid, charge.key)) for charge in charges]

    def step_sync(self, charge, key):
        decision, write = decide(charge, self.client.get(key))
        if write:
            self.client.set(key, **write)
        return decision

    async def step(self, charge, key):
        decision, write = decide(charge, await self.client.get(key))
        if write:
            await self.client.set(key, **write)
        return decision

    async def reset(self, uid=None, key=None):
        raise NotImplementedError

    def reset_sync(self, uid=None, key=None):
        raise NotImplementedError


class Careful(Racy):
    """Repeats the same steps until the key did not change between them."""

    def step_sync(self, charge, key):
        def attempt(pipeline):
            decision, write = decide(charge, pipeline.get(key))
            pipeline.multi()
            if write:
                pipeline.set(key, **write)
            return decision

        return self.client.transaction(attempt, key, value_from_callable=True)

    async def step(self, charge, key):
        async def attempt(pipeline):
            decision, write = decide(charge, await pipeline.get(key))
            pipeline.multi()
            if write:
                pipeline.set(key, **write)
            return decision

        return await self.client.transaction(attempt, key, value_from_callable=True)


def decide(charge, value):
    """Decide a charge on the value of its key; the decision, and the arguments to set the key with, or None."""
    kernel, state, now = charge.plan.kernel, value and pickle.loads(value), time.time_ns() // 1000
    if not charge.cost:
        return probe(kernel, state, now), None
    decision, changed, ttl = kernel(state, charge.cost, now)
    keep = changed is not None and not charge.read_only
    return decision, {"value": pickle.dumps(changed), "px": ttl // 1000 + 1} if keep else None
