"""With a secret, identities and scopes are not readable in the server."""

from __future__ import annotations

import pytest

from traffik import ConfigurationError
from traffik.backends.redis import DenyCache, RedisBackend

SECRET = "of sixteen and more bytes"


def test_neither_identity_nor_scope_is_in_the_server(redis_server, shop):
    one = shop(redis_server.url, secret=SECRET)
    one.way.call(one.limiter, "hit", "ada@example.org")
    with redis_server.client() as client:
        (key,) = client.keys("*")
    assert key.startswith(b"traffik:shop:{")
    assert b"ada" not in key


def test_stores_with_the_same_secret_count_together(redis_server, shop):
    shops = [shop(redis_server.url, secret=secret) for secret in (SECRET, SECRET.encode(), None, f"{SECRET}!")]
    assert [one.hit().remaining for one in shops] == [999, 998, 999, 999]


def test_a_key_can_be_forgotten_and_shown(redis_server, shop):
    one = shop(redis_server.url, secret=SECRET)
    one.hit()
    assert one.way.call(one.limiter, "stat", "ada").key == one.store.partition_key("shop", "ada")
    assert one.store.inspect_sync("shop", "ada").value is not None
    one.way.call(one.limiter, "reset", "ada")
    assert one.used() == 0


def test_the_deny_cache_finds_hashed_keys(redis_server, shop):
    one = shop(redis_server.url, secret=SECRET, deny_cache=DenyCache())
    assert [one.hit(cost=cost).allowed for cost in (1000, 1, 1)] == [True, False, False]


@pytest.mark.parametrize("secret", ["short", b"", 7])
def test_a_bad_secret_is_an_error(secret):
    with pytest.raises(ConfigurationError, match="a secret is 16 bytes or more"):
        RedisBackend(secret=secret)
