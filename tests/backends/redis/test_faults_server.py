"""Faults and unsuitable settings of real servers."""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack

import pytest
from redis import Redis
from redis.exceptions import BusyLoadingError

from tests.backends.redis.proxy import Proxy
from tests.backends.redis.servers import binaries, replica_of, resolve, server, until
from tests.backends.redis.ways import BUSY, LIMIT, Loop
from traffik import Limiter
from traffik.backends.redis import Breaker
from traffik.model.errors import BackendError

DEADLINE = 0.25


@pytest.fixture
def binary(way):
    """An event loop uses the first server program, threads use the last one."""
    return (binaries() or [resolve()])[0 if isinstance(way, Loop) else -1]


@pytest.fixture
def own(binary):
    """Starts a server for one test."""
    with ExitStack() as stack:
        yield lambda *options, **more: stack.enter_context(server(*options, binary=binary, **more))


def why(one, who="ada"):
    """Hit; the error that is raised."""
    with pytest.raises(BackendError) as caught:
        one.hit(who)
    return str(caught.value)


def loading(one):
    """Whether a server answers that it loads its data."""
    try:
        return one.command("PING") is None
    except BusyLoadingError:
        return True


def test_hits_do_not_wait_for_a_stopped_server(redis_server, shop):
    one = shop(redis_server.url, deadline=DEADLINE)
    one.hit()
    redis_server.stop()
    decision, seconds = one.timed()
    assert (decision.degraded, seconds < DEADLINE + BUSY) == ("fallback", True)
    redis_server.cont()
    one.recovered()
    assert one.used() == 2  # the server executes what it received while it was stopped


def test_hits_do_not_wait_for_a_paused_server(redis_server, shop):
    one = shop(redis_server.url, deadline=DEADLINE)
    one.hit()
    redis_server.command("CLIENT", "PAUSE", 600, "ALL")
    decision, seconds = one.timed()
    assert (decision.degraded, seconds < DEADLINE + BUSY) == ("fallback", True)
    one.recovered()
    assert one.used() <= 2


def test_a_restart_loses_at_most_the_usage_and_causes_no_error(redis_server, shop):
    one = shop(redis_server.url)
    one.hit(cost=10)
    redis_server.restart()
    one.way.breathe()
    assert (one.hit().remaining, one.store.degraded) == (LIMIT - 1, {})


def test_while_a_server_is_down_the_fallback_decides(redis_server, shop):
    one = shop(redis_server.url)
    one.hit()
    redis_server.kill()
    assert [one.hit().degraded for _ in range(8)] == ["fallback"] * 8
    redis_server.restart()
    one.recovered()
    assert [one.hit().degraded for _ in range(3)] == [None] * 3


@pytest.mark.parametrize(("on_error", "quotas"), [("fallback", 3), ("throttle", 2)])
def test_a_server_killed_under_load_costs_as_many_quotas_as_the_guide_says(redis_server, shop, on_error, quotas):
    one = shop(redis_server.url, on_error=on_error)
    decisions = [one.hit(cost=LIMIT), one.hit()]
    redis_server.kill()
    decisions += [one.hit(cost=LIMIT), one.hit()]
    redis_server.restart()
    one.recovered()
    decisions += [one.hit(cost=LIMIT), one.hit()]
    assert [each.allowed for each in decisions].count(True) == quotas


def test_script_flush_causes_no_error(redis_server, shop):
    one = shop(redis_server.url)
    before = one.hit()
    redis_server.command("SCRIPT", "FLUSH")
    assert [one.hit().remaining for _ in range(2)] == [before.remaining - 1, before.remaining - 2]
    redis_server.command("SCRIPT", "FLUSH")
    assert {each.degraded for each in one.hits(*["ada"] * 50)} == {None}
    assert (one.used(), one.store.degraded) == (53, {})


def test_hits_do_not_wait_for_a_server_that_loads_its_data(own, shop):
    one = own("--key-load-delay", "300", "--loading-process-events-interval-bytes", "1024")
    one.command("MSET", *range(20_000))
    one.command("SAVE")
    one.kill()
    one.start()
    until(lambda: loading(one), "the server to load")
    errors = []
    user = shop(one.url, deadline=5, on_error=lambda error: errors.append(str(error)) or "allow")
    assert (user.hit().degraded, "LOADING" in errors[0]) == ("allow", True)
    one.command("CONFIG", "SET", "key-load-delay", "0")
    user.recovered()


def test_a_replica_is_used_only_after_it_has_become_a_primary(redis_server, binary, shop):
    with replica_of(redis_server) as replica:
        one = shop(replica.url, on_error="raise", breaker=Breaker(failures=1000))
        assert "READONLY" in why(one)
        connections = replica.info("stats")["total_connections_received"]
        why(one)
        # The next hit connects anew, since the name may belong to the primary by then.
        assert replica.info("stats")["total_connections_received"] > connections + 1
        replica.command("REPLICAOF", "NO", "ONE")
        assert one.hit().remaining == LIMIT - 1


def test_a_replica_without_its_primary_is_left_for_a_new_connection(own, shop):
    lone = own("--replica-serve-stale-data", "no")
    one = shop(lone.url, on_error="raise", breaker=Breaker(failures=1000))
    one.hit()
    lone.command("REPLICAOF", "127.0.0.1", "1")
    assert "MASTERDOWN" in why(one)
    before = lone.info("stats")["total_connections_received"]
    why(one)
    assert lone.info("stats")["total_connections_received"] > before + 1
    lone.command("REPLICAOF", "NO", "ONE")
    assert one.hit().degraded is None


def test_a_server_without_memory_is_an_error_that_says_so(own, shop):
    full = own("--maxmemory-policy", "noeviction")
    one = shop(full.url, on_error="raise", breaker=Breaker(failures=1000))
    one.hit(cost=LIMIT)
    full.command("CONFIG", "SET", "maxmemory", "1")
    assert "OOM" in why(one, "eve")
    assert not one.hit().allowed  # a refusal needs no memory
    full.command("CONFIG", "SET", "maxmemory", "0")
    assert one.hit("eve").allowed


def test_a_server_that_cannot_save_takes_no_writes(own, shop):
    broken = own("--save", "3600 1000000")
    one = shop(broken.url, on_error="raise", breaker=Breaker(failures=1000))
    (broken.home / "dump.rdb").mkdir()
    broken.command("BGSAVE")
    until(lambda: broken.info("persistence")["rdb_last_bgsave_status"] == "err", "saving to fail")
    assert "MISCONF" in why(one)
    broken.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
    assert one.hit().degraded is None


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ("", "NOAUTH"),
        (":wrong@", "WRONGPASS"),
        ("nobody:right@", "WRONGPASS"),
        ("reader:right@", "NOPERM.*evalsha"),
    ],
)
def test_a_failed_login_is_an_error_with_the_reason(own, shop, login, words):
    strict = own()
    strict.command("ACL", "SETUSER", "reader", "on", ">right", "~*", "+@all", "-evalsha")
    strict.command("CONFIG", "SET", "requirepass", "right")
    one = shop(f"redis://{login}127.0.0.1:{strict.port}", on_error=lambda error: errors.append(str(error)) or "allow")
    errors = []
    assert one.hit().degraded == "allow"
    assert re.search(words, errors[0])
    assert "right" not in errors[0]


@pytest.mark.parametrize("command", ["AUTH", "EVALSHA"])
def test_a_server_that_does_not_know_a_command_leaves_no_secret_in_the_log(own, shop, caplog, command):
    crippled = own("--rename-command", command, "")
    login = "user:sesame@" if command == "AUTH" else ""
    assert shop(f"redis://{login}127.0.0.1:{crippled.port}").hit("ada").degraded == "fallback"
    assert f"unknown command '{command}'" in caplog.text
    assert re.search(r"sesame|ada", caplog.text) is None


def test_a_client_without_the_password_never_sends_the_script(own, shop):
    strict = own()
    strict.command("CONFIG", "SET", "requirepass", "right")
    with Proxy(strict.port) as proxy:
        assert shop(proxy.url).hit().degraded == "fallback"
        assert (proxy.commands["PING"] > 0, proxy.commands["SCRIPT"]) == (True, 0)


def test_without_permission_to_load_the_script_the_first_hit_sends_it(own, shop):
    strict = own()
    strict.command("ACL", "SETUSER", "shop", "on", ">right", "~*", "+@all", "-script")
    one = shop(f"redis://shop:right@127.0.0.1:{strict.port}")
    assert [one.hit().degraded for _ in range(2)] == [None, None]
    calls = strict.info("commandstats")
    assert (calls["cmdstat_eval"]["calls"], calls["cmdstat_evalsha"]["calls"]) == (1, 2)


def test_a_changed_password_is_used(own, shop):
    strict = own()
    strict.command("ACL", "SETUSER", "shop", "on", ">old", "~*", "+@all")
    word = ["old"]
    provider = type("Provider", (), {"get_credentials": lambda self: ("shop", word[0])})()
    with Redis(port=strict.port, credential_provider=provider) as client:
        one = shop(client)
        assert one.hit().degraded is None
        strict.command("ACL", "SETUSER", "shop", "resetpass", ">new")  # open connections stay logged in
        assert one.hit().degraded is None
        strict.command("CLIENT", "KILL", "USER", "shop")
        one.way.breathe()
        assert one.hit().degraded == "fallback"
        word[0] = "new"
        one.recovered()


def test_credentials_that_cannot_be_had_leave_no_connection_open(proxy, shop):
    with Redis(port=proxy.port, credential_provider=object()) as client:  # has no get_credentials
        one = shop(client)
        assert [one.hit().degraded for _ in range(3)] == ["fallback"] * 3
    until(lambda: proxy.connections > 0 and proxy.open == 0, "connections to be closed")


def test_a_key_of_another_program_degrades_only_its_own_hits(redis_server, shop, caplog):
    one = shop(redis_server.url, breaker=Breaker(failures=1))
    taken = one.store.partition_key("shop", "eve")
    redis_server.command("RPUSH", taken, "theirs")
    redis_server.command("EXPIRE", taken, 60)
    decisions = one.hits(*["ada", "eve", "bob"] * 5)
    assert [each.degraded for each in decisions] == [None, "fallback", None] * 5
    assert one.store.degraded == {"fallback": 5}
    assert caplog.text.count("WRONGTYPE") == 1
    assert redis_server.command("LRANGE", taken, 0, -1) == [b"theirs"]


def test_a_value_of_another_program_counts_as_no_state(redis_server, shop):
    one = shop(redis_server.url)
    for value in (b"", b"f", b"f\xff\xff\xff", b"nonsense", b"f" + b"1" * 300):
        redis_server.command("SET", one.store.partition_key("shop", "eve"), value, "EX", 60)
        assert (one.hit("eve").remaining, one.store.degraded) == (LIMIT - 1, {})


def test_a_damaged_value_of_several_rates_fails_no_other_hit_of_the_call(redis_server, shop):
    one = shop(redis_server.url, on_error="raise")
    both = Limiter("both", "20/min; 100/hour", backend=one.store)
    eve = one.store.partition_key("both", "eve")
    for damage in ((b"60000000,20", b"{0000000,20"), (b"3600000000,100", b"3600000000(100"), (b",60000000,", b",")):
        one.way.call(both, "hit", "eve")
        redis_server.command("SET", eve, redis_server.command("GET", eve).replace(*damage), "KEEPTTL")
        assert all(one.way.all((both, "hit", who) for who in ("ada", "eve", "ada")))


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "allkeys-lfu", "volatile-lru", "volatile-ttl"])
def test_a_server_that_may_evict_keys_causes_a_warning(own, shop, caplog, policy):
    with caplog.at_level(logging.WARNING, "traffik"):
        shop(own("--maxmemory-policy", policy).url)
    assert f"has maxmemory-policy {policy}: if memory runs short, it deletes keys" in caplog.text


def test_a_server_that_evicts_no_keys_causes_no_warning(own, shop, caplog):
    with caplog.at_level(logging.WARNING, "traffik"):
        shop(own("--maxmemory-policy", "noeviction").url).hit()
    assert caplog.text == ""
