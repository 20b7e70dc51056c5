"""A rate that is changed for all processes that count in one Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import pytest

from tests.backends.redis.servers import resolve, until
from traffik import Limiter
from traffik.backends.redis import Breaker, RedisBackend
from traffik.limits.changes import change_in_store, changes_in

WITHIN = 2.0  # the seconds within which a change is followed by default
PATIENCE = 30.0

PROGRAM = """
import sys, threading, time
from traffik import Limiter
from traffik.backends.redis import RedisBackend

store = RedisBackend(sys.argv[1], deadline=10, on_error="raise")
limiter = Limiter("api", "5/day", backend=store)
changing = (f"{number}/day" for number in range(100, 200))
with store:
    assert limiter.sync.hit("ada")
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "change\\n":
            for _ in range(5):
                limiter.sync.update_everywhere(rate=next(changing), by=sys.argv[2])
        print(limiter.sync.stat("bob").hits_remaining, time.monotonic(), flush=True)
"""


@pytest.fixture
def binary():
    """One is enough here."""
    return resolve()


class Process:
    """A process with a limiter."""

    def __init__(self, url, name):
        path = os.pathsep.join(path or os.curdir for path in sys.path)
        self.popen = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, url, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def begin(self, word):
        self.popen.stdin.write(f"{word}\n")
        self.popen.stdin.flush()

    def answer(self):
        """The limit by which it counts, and when it said so."""
        limit, when = self.popen.stdout.readline().split()
        return int(limit), float(when)

    def limit(self):
        self.begin("limit")
        return self.answer()[0]

    def followed(self, limit):
        """When it counts by `limit`."""
        until(lambda: self.limit() == limit, f"a process that counts {limit}", PATIENCE)
        self.begin("limit")
        return self.answer()[1]


@pytest.fixture
def fleet(redis_server):
    """Four processes."""
    with ExitStack() as stack:
        processes = [Process(redis_server.url, f"process {number}") for number in range(4)]
        for process in processes:
            stack.enter_context(process.popen)
            stack.callback(process.popen.kill)
        for process in processes:
            assert process.popen.stdout.readline() == "ready\n"
        yield processes


@pytest.fixture
def operator(redis_server):
    """A store that only makes changes."""
    with RedisBackend(redis_server.url, changes_within=None, deadline=10) as store:
        yield store


def late(began, moments):
    """The seconds by which the slowest of them is late, on a machine that does other things too."""
    return max(moments) - began - WITHIN


def test_four_processes_follow_in_time_also_one_that_was_stopped(fleet, operator):
    began = time.monotonic()
    change_in_store(operator, "api", "50/day")
    assert late(began, [process.followed(50) for process in fleet]) < 1
    stopped, *others = fleet
    stopped.popen.send_signal(signal.SIGSTOP)
    change_in_store(operator, "api", "70/day")
    for process in others:
        process.followed(70)
    stopped.popen.send_signal(signal.SIGCONT)
    assert late(time.monotonic(), [stopped.followed(70)]) < 1


def test_of_changes_from_all_processes_at_once_the_last_one_counts_in_all(fleet, operator):
    for process in fleet:
        process.begin("change")
    for process in fleet:
        process.answer()
    made = changes_in(operator)
    assert [change.version for change in made] == list(range(20, 0, -1))
    last = int(made[0].rate.partition("/")[0])
    for process in fleet:
        process.followed(last)


@contextmanager
def following(where, **options):
    """A limiter on a store that follows soon."""
    store = RedisBackend(where, changes_within=0.1, deadline=5, breaker=Breaker(recovery=0.05), **options)
    with store:
        yield Limiter("api", "5/day", backend=store)


def follows(limiter, limit):
    until(lambda: limiter.own_plan.capacity == limit, f"a limiter that counts {limit}", PATIENCE)
    return limiter.sync.stat("bob").hits_remaining == limit


def test_in_a_cluster(redis_cluster):
    url = f"redis+cluster://{','.join(f'{host}:{port}' for host, port in redis_cluster.addresses)}"
    with following(url) as one, following(url) as other:
        one.sync.update_everywhere(rate="50/day")
        assert follows(other, 50)
        redis_cluster.move_slot(slot := redis_cluster.slot_of("{record}"), next_owner(redis_cluster, slot))
        one.sync.update_everywhere(rate="70/day")
        assert follows(other, 70)


def next_owner(cluster, slot):
    return next(node for node in cluster.primaries if node is not cluster.owner(slot))


def test_through_a_failover(sentinels):
    url = f"redis+sentinel://{','.join(f'{host}:{port}' for host, port in sentinels.addresses)}/{sentinels.name}"
    with following(url) as one, following(url) as other:
        one.sync.update_everywhere(rate="50/day")
        assert follows(other, 50)
        sentinels.failover()
        until(lambda: changed(one, "70/day"), "a primary that takes the change", PATIENCE)
        assert follows(other, 70)


def changed(limiter, rate):
    try:
        return limiter.sync.update_everywhere(rate=rate)
    except Exception:  # noqa: BLE001 - the new primary is not there yet
        return False


@pytest.mark.parametrize("trouble", ["black_hole", "refuse"])
def test_while_the_server_is_away_hits_are_decided_as_before_and_changes_are_followed_afterwards(
    proxy, operator, trouble
):
    with following(proxy.url, on_error="allow") as limiter:
        assert limiter.sync.hit("ada").degraded is None
        getattr(proxy, trouble)()
        change_in_store(operator, "api", "50/day")
        time.sleep(0.3)  # the record is read a few times, in vain
        assert limiter.own_plan.capacity == 5
        assert limiter.backend.spared is False  # the reads do not count for the breaker of the hits
        proxy.heal()
        assert follows(limiter, 50)


def test_a_record_that_is_lost_returns_the_limits_to_their_own_rates(redis_server, operator, caplog):
    with following(redis_server.url) as limiter:
        change_in_store(operator, "api", "50/day")
        assert follows(limiter, 50)
        redis_server.command("FLUSHALL")
        assert follows(limiter, 5)
    assert "the rate of 'api' is 5/day again: the store has lost the change" in caplog.text


def test_a_key_of_another_type_changes_nothing(redis_server, operator):
    with following(redis_server.url) as limiter:
        redis_server.command("HSET", "traffik::{record}", "a", "b")
        redis_server.command("EXPIRE", "traffik::{record}", "60")
        time.sleep(0.2)
        assert limiter.sync.stat("bob").hits_remaining == 5


def test_a_reset_of_all_usage_keeps_the_changes(operator):
    change_in_store(operator, "api", "50/day")
    operator.reset_sync()
    assert [change.rate for change in changes_in(operator)] == ["50/day"]


FORKING = """
import os, sys, time
from traffik import Limiter
from traffik.backends.redis import RedisBackend
from traffik.limits.changes import change_in_store

with RedisBackend(sys.argv[1], changes_within=0.1, deadline=10) as store:
    limiter = Limiter("api", "5/day", backend=store)
    assert limiter.sync.hit("ada")
    child = os.fork()
    if child:
        change_in_store(store, "api", "50/day")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    else:
        end = time.monotonic() + 20
        while limiter.sync.stat("bob").hits_remaining != 50 and time.monotonic() < end:
            time.sleep(0.01)
        os._exit(0 if limiter.sync.stat("bob").hits_remaining == 50 else 1)
"""


INHERITING = """
import os, sys, time
from traffik.backends.redis import RedisBackend
from traffik.backends.redis.records import RedisRecord

readers, read = [], RedisRecord.read


def noting(self):
    readers.append((os.getpid(), self.client))
    return read(self)


RedisRecord.read = noting
with RedisBackend(sys.argv[1], changes_within=0.1) as store:
    inherited = store._record.client
    for _ in range(3):
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            continue
        end = time.monotonic() + 20
        while (ours := [client for pid, client in readers if pid == os.getpid()]) == [] and time.monotonic() < end:
            time.sleep(0.01)
        os._exit(0 if ours and inherited not in ours else 1)
"""


@pytest.mark.parametrize("program", [FORKING, INHERITING], ids=["follows", "connects"])
def test_a_forked_child_does_so_by_itself(redis_server, program):
    path = os.pathsep.join(path or os.curdir for path in sys.path)
    done = subprocess.run(
        [sys.executable, "-c", program, redis_server.url],
        env={**os.environ, "PYTHONPATH": path},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
