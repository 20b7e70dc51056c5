"""Bans: a client is refused until a time, in every scope, and others are not."""

from __future__ import annotations

import pytest

from tests import toy
from traffik import EXEMPTED, HTTPThrottle, Limiter, hit_all
from traffik.limits.bans import MOST_BANS, Bans
from traffik.model.keys import local_key, seal, without_scope

pytestmark = pytest.mark.anyio


@pytest.fixture
def now():
    return [1_000.0]


@pytest.fixture
def bans(now):
    made = Bans(seal(b"sixteen bytes or more"), clock=lambda: now[0])
    yield made
    made.close()


@pytest.fixture
def limiter(store):
    return Limiter("mails", "9/min", backend=store)


async def test_a_banned_client_is_refused_until_the_end(limiter, bans, now):
    bans.ban("mails", bans.mark_of("ada"), 1_060)
    banned = await limiter.hit("ada")
    assert (banned.allowed, banned.degraded, banned.wait_seconds) == (False, "banned", 60)
    assert limiter.sync.hit("bob").allowed
    now[0] = 1_060
    assert limiter.sync.hit("ada").allowed


async def test_a_ban_holds_in_every_scope_and_ends_when_lifted(limiter, bans):
    mark = bans.mark_of(local_key("upload", "ada"))
    bans.ban("mails", mark, 2_000)
    assert [bool(await limiter.hit("ada", context={"scope": each})) for each in (None, "upload", "x")] == [False] * 3
    bans.lift("mails", mark)
    assert (await limiter.hit("ada")).allowed
    assert limiter.identify is None


async def test_a_ban_refuses_with_others_and_takes_nothing(limiter, bans, store):
    other = Limiter("other", "9/min", backend=store)
    bans.ban("mails", bans.mark_of("ada"), 2_000)
    assert not await hit_all("ada", other, limiter)
    assert (await other.stat("ada")).hits_remaining == 9


async def test_identifiers_may_be_async_and_exempt(bans, store):
    async def whoever(connection):
        return connection.user

    throttle = HTTPThrottle("api", "9/min", identifier=whoever, backend=store)
    bans.ban("api", bans.mark_of("ada"), 2_000)
    requests = [toy.Request(), toy.Request()]
    requests[0].user, requests[1].user = "ada", EXEMPTED
    assert [bool(await throttle.decide(each)) for each in requests] == [False, True]


def test_the_number_of_bans_is_bounded(bans):
    bans.replace({"mails": {str(number): 2_000 + number for number in range(MOST_BANS)}})
    bans.ban("mails", "latest", 9_000)
    ((_, ends),) = bans
    assert (len(ends), "0" in ends, "latest" in ends) == (MOST_BANS, False, True)


@pytest.mark.parametrize("identity", ["ada", "", "\0odd", "x" * 500])
@pytest.mark.parametrize("scope", ["s", "1:2", "y" * 500])
def test_a_key_without_its_scope_is_that_of_the_identity(identity, scope):
    assert (
        without_scope(local_key(scope, identity))
        == local_key(None, identity)
        == without_scope(local_key(None, identity))
    )
