"""One contestant in its own process: ``python one.py PART KEY [URL [AT]]`` prints what was measured, as JSON.

The process belongs to the environment of the contestant, so that none sees the modules of another. A figure is a
number, or the reason why there is none.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from contestants import CONTESTANTS
from contestants.contestant import Contestant, Hit, Make
from frameworks import KINDS, served

Figures: TypeAlias = dict[str, float | str]

AMPLE = 10_000_000
CLIENT = "192.0.2.1"
CALLERS = (1, 16, 128, 512)
SECONDS = 0.4  # for each figure
PATIENCE = 10  # seconds for hits that hang
KEYS, APP_KEYS, REDIS_KEYS = 50_000, 8_000, 5_000  # as many of the first two as there is time for
MINUTES, MINUTE = 30, 60_000_000_000  # ns
LIMITS = (1, 2, 5, 100)
MOST_STEPS = 50_000
POLL = 0.5  # seconds between the attempts of a client that is given no wait
PROGRAM = "from time import perf_counter_ns; start = perf_counter_ns(); {}; print(perf_counter_ns() - start)"

real_cpu, real_time, real_sleep = time.process_time_ns, time.monotonic, time.sleep


class Clock:
    """The time of all modules, which moves only when this program moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000_000
        for name in ("time", "monotonic", "perf_counter"):
            setattr(time, name, lambda: self.now / 1e9)
            setattr(time, f"{name}_ns", lambda: self.now)


def why(error: BaseException) -> str:
    """The reason why there is no figure."""
    if isinstance(error, NotImplementedError):
        return str(error)
    if type(error) is RuntimeError:  # ours
        return f"failed: {error}"
    if isinstance(error, TimeoutError):
        return f"failed: no result within {PATIENCE} s"
    return f"failed: {type(error).__name__}: {' '.join(str(error).split())[:100]}"


def making(contestant: Contestant) -> Make:
    """Its hits; if it works in a framework only, those are requests of an application."""
    if not isinstance(contestant.hit, str):
        return contestant.hit
    kind = next(kind for kind, framework in KINDS.items() if framework in contestant.apps)

    async def make(limit: int, url: str | None) -> Hit:
        app = await served(kind, contestant.apps[KINDS[kind]], limit, url)

        async def hit(key: str) -> tuple[bool, float | None]:
            status, wait = await app.answer(app.request(key))
            if status not in {200, 403, 429}:
                raise RuntimeError(f"it answers {status}")
            return status == 200, wait

        return hit

    return make


async def repeated(work: Callable[[int], Awaitable[object]], count: int) -> float:
    """µs of CPU for one of `count` repetitions, in the median of as many turns as there is time for."""
    await work(count)
    times, end = [], real_time() + SECONDS
    while real_time() < end or len(times) < 3:
        start = real_cpu()
        await work(count)
        times.append((real_cpu() - start) / count / 1e3)
    return median(times)


async def memory(contestant: Contestant, _: str) -> Figures:
    """A hit that is admitted, in async and in sync code, in µs."""
    found: Figures = {"async": "", "sync": ""}
    if isinstance(contestant.hit, str):
        found["async"] = contestant.hit
    else:
        hit = await contestant.hit(AMPLE, None)

        async def hits(count: int) -> None:
            for _ in range(count):
                await hit(CLIENT)

        found["async"] = await repeated(hits, 100)
    if isinstance(contestant.hit_sync, str):
        found["sync"] = contestant.hit_sync
        return found
    hit_sync = contestant.hit_sync(AMPLE)

    async def hits_sync(count: int) -> None:
        for _ in range(count):
            hit_sync(CLIENT)

    found["sync"] = await repeated(hits_sync, 100)
    return found


async def requests(contestant: Contestant, _: str) -> Figures:
    """A request that is admitted, to one of the same application without a limit, and the µs in between."""
    found: Figures = {}
    for kind, framework in KINDS.items():
        if framework not in contestant.apps:
            continue
        try:
            found |= await one_kind(kind, contestant)
        except Exception as error:  # noqa: BLE001 - of any contestant; it is shown
            found[kind] = why(error)
    return found


async def one_kind(kind: str, contestant: Contestant) -> Figures:
    app = await served(kind, contestant.apps[KINDS[kind]], AMPLE, None)
    if (status := (await app.answer(app.request(CLIENT)))[0]) != 200:
        raise RuntimeError(f"it answers {status}")

    async def call(answer: Callable[[Any], Any], count: int) -> float:
        made = [app.request(CLIENT) for _ in range(count)]
        start = real_cpu()
        for request in made:
            await answer(request)
        return (real_cpu() - start) / count / 1e3

    count, limited, bare = 10 if "Django" in kind else 50, [], []
    end = real_time() + SECONDS
    while real_time() < end or len(bare) < 4:
        limited.append(await call(app.answer, count))
        bare.append(await call(app.bare, count))
    pairs = list(zip(limited[1:], bare[1:], strict=True))  # the first turn warms up
    return {
        kind: median(one / other for one, other in pairs),
        f"{kind}, µs": median(one - other for one, other in pairs),
    }


async def redis(contestant: Contestant, url: str) -> Figures:
    """Hits a second by callers with a key each."""
    if isinstance(contestant.hit, str):
        return {"1": contestant.hit}
    found: Figures = {}
    for callers in CALLERS:
        try:
            found[str(callers)] = await asyncio.wait_for(rate(contestant.hit, url, callers), PATIENCE)
        except Exception as error:  # noqa: BLE001 - as above
            found[str(callers)] = why(error)
    return found


async def rate(make: Make, url: str, callers: int) -> float:
    hit = await make(AMPLE, url)

    async def admitted(caller: int) -> None:
        if not (await hit(f"10.0.{caller // 256}.{caller % 256}"))[0]:
            raise RuntimeError("it refuses hits within the limit, as after an error")

    await asyncio.gather(*map(admitted, range(callers)))  # opens connections
    start = real_time()

    async def calls(caller: int) -> int:
        done = 0
        while real_time() < start + SECONDS:
            await admitted(caller)
            done += 1
        return done

    done = sum(await asyncio.gather(*map(calls, range(callers))))
    return done / (real_time() - start)


async def exact(contestant: Contestant, url: str) -> Figures:
    """How many of 300 hits this process gets admitted by a limit of 100 that four processes share, from a moment on."""
    hit = await making(contestant)(100, url)
    await asyncio.sleep(float(sys.argv[4]) - time.time())
    hits = [await asyncio.gather(*(hit(CLIENT) for _ in range(10))) for _ in range(30)]
    return {"admitted": sum(allowed for each in hits for allowed, _ in each)}


async def delivered(contestant: Contestant, _: str) -> Figures:
    """What a client gets that comes as often as it may: for each limit its share, the longest wait, the fullest minute.

    For the fullest minute another client comes once, then just before a minute is over, and then as often as it may.
    """
    found: Figures = {}
    for limit in LIMITS:
        try:
            hit = await making(contestant)(limit, None)
            admitted, wait = await come(hit, f"10.0.1.{limit}", MINUTES)
            fullest = await most_in_a_minute(hit, f"10.0.2.{limit}")
        except Exception as error:  # noqa: BLE001 - as above
            found[f"{limit} share"] = why(error)
            continue
        found[f"{limit} share"] = len(admitted) / (limit * MINUTES)
        found[f"{limit} wait"] = "" if wait is None else wait
        found[f"{limit} fullest"] = fullest
    return found


async def most_in_a_minute(hit: Hit, key: str) -> int:
    """The most that a minute admits of a client that comes when others have been away for two minutes."""
    _clock.now += 2 * MINUTE
    moments = [_clock.now] if (await hit(key))[0] else []
    await asyncio.to_thread(real_sleep, 0.01)
    _clock.now += 59_900_000_000
    moments += (await come(hit, key, 3))[0]
    minute = MINUTE - 1_000_000  # a millisecond less, since they add seconds as floats
    return max(sum(1 for other in moments if 0 <= other - each < minute) for each in moments)


async def come(hit: Hit, key: str, minutes: int) -> tuple[list[int], float | None]:
    """Come as often as one may: when that was admitted, and the longest wait that was told, None if none was."""
    end, admitted = _clock.now + minutes * MINUTE, []
    longest: float | None = None
    for _ in range(MOST_STEPS):
        if _clock.now >= end:
            return admitted, longest
        allowed, wait = await hit(key)
        if allowed:
            admitted.append(_clock.now)
            if admitted[-1_000:].count(_clock.now) == 1_000:
                raise RuntimeError("it admits every hit in the second in which a window ends")
            continue
        if wait is not None:
            longest = max(longest or 0.0, wait)
        if wait is not None:
            await asyncio.to_thread(real_sleep, 0.0005)  # for those that tidy up in threads
        _clock.now += max(1_000_000, int((POLL if wait is None else wait) * 1e9))
        await asyncio.sleep(0)  # for those that count with timers
    raise RuntimeError(f"a client is not through within {MOST_STEPS:,} hits")


async def held(contestant: Contestant, url: str) -> Figures:
    """Bytes that each client takes after one hit, in memory and in Redis, without the text of its address."""
    if contestant.keyless:
        return {"memory": contestant.keyless}
    found: Figures = {}
    try:
        found["memory"] = contestant.forgets or await held_here(
            making(contestant), KEYS if callable(contestant.hit) else APP_KEYS
        )
    except Exception as error:  # noqa: BLE001 - as above
        found["memory"] = why(error)
    if isinstance(contestant.hit, str):
        return found
    try:
        found["Redis"] = await held_there(contestant.hit, url)
    except Exception as error:  # noqa: BLE001 - as above
        found["Redis"] = why(error)
    return found


async def held_here(make: Make, keys: int) -> float:
    hit, names = await make(100, None), [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(keys)]
    for name in names[:500]:
        await hit(name)
    before, end, done = resident(), real_time() + PATIENCE / 2, 500
    while done < keys and real_time() < end:
        for name in names[done : done + 500]:
            await hit(name)
        done += 500
    return (resident() - before) / (done - 500)


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def held_there(make: Make, url: str) -> float:
    from redis import Redis

    hit, server = await make(100, url), Redis.from_url(url)
    await hit("first")
    before = server.info("memory")["used_memory"]
    for number in range(REDIS_KEYS):
        await hit(f"10.0.{number >> 8}.{number & 255}")
    return float(server.info("memory")["used_memory"] - before) / REDIS_KEYS


async def imports(contestant: Contestant, _: str) -> Figures:
    """The time of its import in a new interpreter in ms, and to `import asyncio`."""
    times = []
    for statement in (contestant.statement, "import asyncio") * 2:  # the first time the bytecode may be written
        command = [sys.executable, "-I", "-c", PROGRAM.format(statement)]
        times.append(int(subprocess.check_output(command, stderr=subprocess.PIPE)))  # noqa: ASYNC221 - nothing else runs
    return {"ms": times[2] / 1e6, "to asyncio": times[2] / times[3]}


PARTS: dict[str, Callable[[Contestant, str], Awaitable[Figures]]] = {
    "delivered": delivered,
    "memory": memory,
    "redis": redis,
    "requests": requests,
    "exact": exact,
    "held": held,
    "imports": imports,
}

if __name__ == "__main__":
    part, key, url = (*sys.argv[1:], "")[:3]
    logging.disable(logging.ERROR)  # a line for each refusal
    if part == "delivered":
        _clock = Clock()  # before the contestant is imported
    contestant = next(each for each in CONTESTANTS if each.key == key)
    with asyncio.Runner() as runner:
        try:
            answer = runner.run(PARTS[part](contestant, url))
        except Exception as error:  # noqa: BLE001 - as above
            answer = {"": why(error)}
        print(json.dumps(answer), flush=True)
        os._exit(0)  # what hangs would not let the loop close
