"""Promise 25 in memory, across threads: for each limit, the quota left is the limit minus what was used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.booking import LIMIT, left_in, work_off
from tests.promises.histories import eager_switches
from traffik.backends.inmemory import InMemoryBackend


def test_the_units_of_four_threads_add_up():
    store = InMemoryBackend()
    with eager_switches(), ThreadPoolExecutor(4) as pool:
        used = sum(pool.map(work_off, [store] * 4, range(4)))
    assert 0 < used <= LIMIT
    assert left_in(store) == [LIMIT - used] * 2
