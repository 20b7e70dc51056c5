"""Event loops in several threads, event loops that end, and forks: none blocks another or leaves a connection open."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.backends.redis.servers import resolve, until
from tests.interrupting import each_interrupt, in_thread
from traffik import FixedWindow, Limiter
from traffik.backends.redis import RedisBackend

LIMIT = 10_000


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


@pytest.fixture
def limiter(redis_server):
    store = RedisBackend(redis_server.url, on_error="raise", deadline=10, changes_within=None)
    yield Limiter("loops", f"{LIMIT}/day", strategy=FixedWindow(), backend=store)
    store.close_sync()


def run(program, *arguments):
    """Run a program in which warnings are errors; its output."""
    path = os.pathsep.join(path or os.curdir for path in sys.path)
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_loops_in_several_threads_share_the_quota_and_each_has_its_own_connection(limiter, redis_server):
    async def some(count):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(limiter.hit("ada")) for _ in range(count)]
        return [task.result().remaining for task in tasks]

    with ThreadPoolExecutor(8) as pool:
        left = list(pool.map(lambda _: asyncio.run(some(50)), range(24)))
    assert sorted(each for some in left for each in some) == list(range(LIMIT - 1200, LIMIT))


def test_a_loop_that_ends_leaves_no_connection_open(limiter, redis_server):
    async def several():
        await asyncio.gather(*[limiter.hit(f"user:{number}") for number in range(20)])

    before = redis_server.info("clients")["connected_clients"]
    for _ in range(5):
        asyncio.run(several())
    until(lambda: redis_server.info("clients")["connected_clients"] == before, "connections to be closed")


ENDS = """
import asyncio, sys, gc
from traffik import Limiter
from traffik.backends.redis import RedisBackend
limiter = Limiter("ends", "9/day", backend=RedisBackend(sys.argv[1]))
async def leave(turns):
    task = asyncio.ensure_future(limiter.hit("ada"))
    for _ in range(turns):
        await asyncio.sleep(0)
for turns in range(30):
    asyncio.run(leave(turns))
    gc.collect()
print(asyncio.run(limiter.hit("eve")).degraded)
"""

FORK = """
import asyncio, os, sys, threading
from traffik import FixedWindow, Limiter
from traffik.backends.redis import DenyCache, RedisBackend
store = RedisBackend(sys.argv[1], on_error="raise", deadline=10, deny_cache=DenyCache())
limiter = Limiter("forks", "100000/day", strategy=FixedWindow(), backend=store)
"""

SYNC = """
def work(who):
    return [limiter.sync.hit(who).remaining for _ in range(300)] == list(range(99_999, 99_699, -1))
limiter.sync.hit("before")
children = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if work(f"child:{number}") else 1)
    children.append(pid)
print(work("parent"), [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0])
store.close_sync()
"""

ASYNC = """
async def work(who):
    return sorted(d.remaining for d in await asyncio.gather(*[limiter.hit(who) for _ in range(300)]))
async def main():
    await limiter.hit("before")
    under_way = asyncio.ensure_future(work("parent"))
    await asyncio.sleep(0)
    pid = os.fork()
    if pid == 0:
        asyncio._set_running_loop(None)
        os._exit(0 if asyncio.new_event_loop().run_until_complete(work("child")) == list(range(99_700, 100_000)) else 1)
    print(await under_way == list(range(99_700, 100_000)), os.waitpid(pid, 0)[1])
asyncio.run(main())
"""

LOCKED = """
limiter.sync.hit("before")
held, over = threading.Event(), threading.Event()
def hold():
    with store._lock, store._circuit._lock, store._denials._lock, store._threads.ways._guard:
        held.set()
        over.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
pid = os.fork()
if pid == 0:
    store._circuit.failed(0)
    store._circuit.succeeded()
    os._exit([limiter.sync.hit("ada", 60_000).allowed for _ in range(3)] != [True, False, False])
print(os.waitpid(pid, 0)[1])
over.set()
thread.join()
store.close_sync()
"""


SIGNALS = """
import signal, sys
from traffik import FixedWindow, Limiter
from traffik.backends.redis import DenyCache, RedisBackend
store = RedisBackend(sys.argv[1], on_error="raise", deadline=10, deny_cache=DenyCache())
limiter, handled = Limiter("signals", "100000/day", strategy=FixedWindow(), backend=store).sync, []
def handle(*_):
    handled.append(limiter.hit("ada").allowed)
    signal.setitimer(signal.ITIMER_REAL, 0.002)  # only now, or handlers of a slow machine interrupt each other for ever
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.001)
hits = 0
while len(handled) < 50:
    hits += limiter.hit("ada").allowed
signal.setitimer(signal.ITIMER_REAL, 0)
print(100_000 - limiter.stat("ada").hits_remaining == hits + sum(handled), all(handled))
store.close_sync()
"""


def test_a_signal_handler_may_hit_while_its_thread_is_in_a_hit(redis_server):
    assert run(SIGNALS, redis_server.url) == ["True", "True"]


def test_a_handler_that_raises_at_any_point_leaves_the_store_to_others(limiter):
    hits = limiter.sync
    before = LIMIT - hits.hit("ada").remaining
    for point in each_interrupt(lambda: hits.hit("ada")):
        used = LIMIT - in_thread(lambda: hits.hit("ada")).remaining
        assert used - before in {1, 2}, f"counted more than once at point {point}"
        before = LIMIT - hits.hit("ada").remaining
    assert before > 50, "the hit has fewer points than it must have"


def test_a_loop_that_ends_during_hits_leaves_no_connection_open(redis_server):
    assert run(ENDS, redis_server.url) == ["None"]


def test_a_forked_child_has_its_own_connections(redis_server):
    assert run(FORK + SYNC, redis_server.url) == ["True", "True"]


def test_a_child_forked_under_a_running_loop_can_run_its_own_loop(redis_server):
    assert run(FORK + ASYNC, redis_server.url) == ["True", "0"]


def test_a_child_does_not_wait_for_locks_of_its_parents_threads(redis_server):
    assert run(FORK + LOCKED, redis_server.url) == ["0"]
