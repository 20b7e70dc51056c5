"""Slots across threads and processes: never more than the limit at once, and those of a killed worker come back.

Each worker notes when its work began and ended, on the monotonic clock of the machine.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.apart import apart
from tests.backends.redis.servers import server
from traffik import Slots
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend
from traffik.backends.redis import RedisBackend

WORKERS = 4
ROUNDS = 30
PATIENCE = 60  # seconds
LIMIT = 2


@pytest.fixture(params=["lmdb", "redis"])
def place(request, tmp_path):
    """The name of a function that makes a store that processes share, and its argument."""
    if request.param == "lmdb":
        yield LMDBBackend, str(tmp_path / "quota")
        return
    with server() as one:
        yield RedisBackend, f"{one.url}/0"


@contextmanager
def open_slots(place, lease="60s"):
    """The slots, on a store opened in this process."""
    make, where = place
    with make(where, on_error="raise", deadline=20) as store:
        yield Slots("exports", LIMIT, lease=lease, backend=store)


def work(slots):
    """Work in slots several times; the begin and end of each piece of work."""
    spans = []
    for _ in range(ROUNDS):
        with slots.sync.slot(wait=PATIENCE):
            began = time.monotonic_ns()
            time.sleep(0.001)
            spans.append((began, time.monotonic_ns()))
    return spans


def most_at_once(spans):
    """The most pieces of work that ran at the same time."""
    changes = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    most = running = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most


def in_process(place, results):
    with open_slots(place) as slots:
        results.put(work(slots))


def test_processes_never_have_more_than_the_limit(place):
    context = apart()
    results = context.Queue()
    processes = [context.Process(target=in_process, args=(place, results), daemon=True) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    spans = [span for _ in processes for span in results.get(timeout=PATIENCE)]
    assert (len(spans), 1 <= most_at_once(spans) <= LIMIT) == (WORKERS * ROUNDS, True)
    with open_slots(place) as slots:
        assert slots.sync.stat()[:2] == (0, LIMIT)


def test_threads_never_have_more_than_the_limit():
    slots = Slots("exports", LIMIT, backend=InMemoryBackend())
    with ThreadPoolExecutor(WORKERS) as pool:
        spans = [span for each in [pool.submit(work, slots) for _ in range(WORKERS)] for span in each.result()]
    assert (len(spans), most_at_once(spans)) == (WORKERS * ROUNDS, LIMIT)
    assert slots.sync.stat()[:2] == (0, LIMIT)


def hold_until_killed(place, ready):
    with open_slots(place, "1s") as slots, slots.sync.slot(cost=LIMIT):
        ready.set()
        time.sleep(PATIENCE)


def test_the_slots_of_a_killed_worker_come_back_after_their_lease(place):
    context = apart()
    ready = context.Event()
    process = context.Process(target=hold_until_killed, args=(place, ready), daemon=True)
    process.start()
    assert ready.wait(PATIENCE)
    with open_slots(place, "1s") as slots:
        assert slots.sync.stat().free == 0
        process.kill()
        process.join(PATIENCE)
        with slots.sync.slot(cost=LIMIT, wait=PATIENCE) as slot:
            assert slot
