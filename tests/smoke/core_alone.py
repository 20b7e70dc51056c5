"""A new user's first steps with the wheel of the core, in an environment that has nothing else."""

import asyncio
from importlib.metadata import files, version
from importlib.util import find_spec

from traffik import Limiter
from traffik.backends.inmemory import InMemoryBackend


async def main() -> None:
    assert find_spec("starlette") is None, "this environment should hold the core alone"
    shipped = {path.name for path in files("traffik-core") or ()}
    assert {"LICENSE", "py.typed"} <= shipped, shipped

    async with InMemoryBackend():
        limiter = Limiter("smoke", "2/min")
        decisions = [await limiter.hit("client") for _ in range(3)]
    assert [decision.allowed for decision in decisions] == [True, True, False]
    print(f"traffik {version('traffik-core')}: two hits admitted, the third refused")


asyncio.run(main())
