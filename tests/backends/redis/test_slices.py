"""Slices of a limit in Redis, spent by several processes of which some are killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import struct
import time
from bisect import bisect_left

import pytest

from tests.backends.redis.servers import resolve
from traffik import FixedWindow, Limiter, Rate, SlidingLog
from traffik.backends.redis import RedisBackend
from traffik.backends.slices import SlicedBackend

LIMIT, PERIOD = 2_000, 400_000
PROCESSES, SECONDS, KILLS = 8, 1.3, 6


@pytest.fixture
def binary():
    """The newest is enough here: the script is the same on all."""
    return resolve()


def sliced(url):
    return SlicedBackend(RedisBackend(url, on_error="raise", deadline=10), share=0.1, life=0.05)


def spend(url, strategy, path):
    """Hit one key until killed, with pauses, and write down when each admitted hit was called and had returned."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    backend = sliced(url)
    hit = Limiter("hot", Rate(LIMIT, PERIOD), strategy=strategy, backend=backend).sync.hit
    while True:
        called = time.monotonic_ns()
        if hit("all"):
            os.write(file, struct.pack("qq", called, time.monotonic_ns()))
        if random.random() < 0.01:
            time.sleep(random.uniform(0, 0.15))  # a slice may end meanwhile


def run_fleet(url, strategy, directory):
    """The times of all admitted hits of processes that are killed now and then, and at last."""
    context = multiprocessing.get_context("fork")

    def start(number):
        process = context.Process(target=spend, args=(url, strategy, directory / str(number)), daemon=True)
        process.start()
        return process

    processes = [start(number) for number in range(PROCESSES)]
    for number in range(KILLS):
        time.sleep(SECONDS / KILLS)
        victim = random.randrange(PROCESSES)
        os.kill(processes[victim].pid, signal.SIGKILL)
        processes[victim].join()
        processes[victim] = start(PROCESSES + number)
    for process in processes:
        process.kill()
        process.join()
    return [times for path in directory.iterdir() for times in struct.iter_unpack("qq", path.read_bytes())]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it forks
@pytest.mark.parametrize(("strategy", "most"), [(SlidingLog(), LIMIT), (FixedWindow(), 2 * LIMIT - 1)], ids=str)
def test_no_window_admits_more_to_processes_that_are_killed(redis_server, tmp_path, strategy, most):
    hits = run_fleet(redis_server.url, strategy, tmp_path)
    called, returned = (sorted(times) for times in zip(*hits, strict=True))
    # of those that had returned at the end of a window, all but the ones called before its start lie wholly in it
    ends = ((bisect_left(returned, start + PERIOD * 1000), place) for place, start in enumerate(called))
    assert LIMIT / 2 < max(end - place for end, place in ends) <= most


def test_tasks_share_the_slices_of_their_process(redis_server):
    async def admitted():
        async with sliced(redis_server.url) as backend:
            limiter = Limiter("hot", "2000/day", backend=backend)
            decisions = await asyncio.gather(*(limiter.hit("all") for _ in range(2100)))
            return sum(map(bool, decisions)), (await limiter.stat("all")).hits_remaining

    assert asyncio.run(admitted()) == (2000, 0)


def test_a_process_gives_back_at_its_end_what_it_has_not_spent(redis_server):
    with sliced(redis_server.url) as backend:
        limiter = Limiter("hot", "2000/day", backend=backend).sync
        for _ in range(100):
            limiter.hit("all")
    with RedisBackend(redis_server.url) as plain:
        assert Limiter("hot", "2000/day", backend=plain).sync.stat("all").hits_remaining == 1900
