"""Bans on stores that processes share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.backends.redis.servers import server
from traffik import Limiter, Penalty
from traffik.backends.lmdb import LMDBBackend
from traffik.backends.redis import RedisBackend


@pytest.fixture(params=["lmdb", "redis"])
def logins(request, tmp_path):
    """A limit of three with bans of a minute."""
    options = {"strategy": Penalty(base="1 min"), "rate": "3/10s"}
    if request.param == "lmdb":
        with LMDBBackend(tmp_path / "quota", on_error="raise", deadline=20) as store:
            yield Limiter("logins", backend=store, **options)
        return
    with server() as one, RedisBackend(f"{one.url}/0", on_error="raise", deadline=20) as store:
        yield Limiter("logins", backend=store, **options)


def test_concurrent_hits_start_one_ban(logins):
    with ThreadPoolExecutor(8) as pool:
        decisions = list(pool.map(lambda _: logins.sync.hit("ada"), range(50)))
    assert sum(decision.allowed for decision in decisions) == 3
    assert logins.sync.check("ada").wait_seconds == 60


def test_a_release_lifts_the_ban(logins):
    logins.sync.hit("ada", 2)
    with logins.sync.reserve("ada") as attempt:
        assert not logins.sync.check("ada")
        attempt.release()
    assert logins.sync.check("ada")
    logins.sync.reset("ada")
    assert logins.sync.stat("ada").hits_remaining == 3
