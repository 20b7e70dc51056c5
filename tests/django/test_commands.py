"""`manage.py traffik_stat` and `traffik_reset`, on a store that processes share."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import RequestFactory

from tests.backends.redis.servers import server
from traffik import SlidingLog, Throttled, Tiers
from traffik.backends.inmemory import InMemoryBackend
from traffik_django import HTTPThrottle, throttles


@pytest.fixture(scope="module")
def address():
    with server() as running:
        yield running.url


@pytest.fixture(autouse=True)
def shared(address, configured):
    named = {"login": {"rate": "2/min", "strategy": SlidingLog()}, "varying": {"rate": lambda request: "2/min"}}
    configured(TRAFFIK={"STORE": address, "THROTTLES": named})
    throttles["login"].backend.reset_sync()


def hit(times=1):
    for _ in range(times):
        throttles["login"].sync.hit(RequestFactory().get("/", REMOTE_ADDR="203.0.113.7"))


def run(command, *arguments):
    output = StringIO()
    call_command(command, *arguments, stdout=output)
    return output.getvalue()


def test_stat_shows_the_quota_left():
    hit()
    assert run("traffik_stat", "login", "203.0.113.7") == "login 203.0.113.7: 1 of 2/min left\n"
    assert run("traffik_stat", "login", "203.0.113.8") == "login 203.0.113.8: 2 of 2/min left\n"


def test_stat_shows_the_wait():
    hit(2)
    assert run("traffik_stat", "login", "203.0.113.7").startswith("login 203.0.113.7: 0 of 2/min left, next in ")


def test_reset_restores_the_whole_quota():
    hit(2)
    with pytest.raises(Throttled):
        hit()
    assert run("traffik_reset", "login", "203.0.113.7") == "login 203.0.113.7: the whole quota is available again\n"
    hit(2)


def test_each_scope_has_its_own_quota():
    throttles["login"].sync.hit(RequestFactory().get("/"), context={"scope": "shop"})
    assert "1 of" in run("traffik_stat", "login", "127.0.0.1", "--scope", "shop")
    assert "2 of" in run("traffik_stat", "login", "127.0.0.1")


def test_a_throttle_in_code_is_found_by_its_uid(uid):
    throttle = HTTPThrottle(uid, "3/min")
    throttle.sync.hit(RequestFactory().get("/"))
    assert run("traffik_stat", uid, "127.0.0.1") == f"{uid} 127.0.0.1: 2 of 3/min left\n"


def test_an_unknown_name_is_an_error():
    with pytest.raises(CommandError, match="no throttle is called 'logout'; the settings name: login, varying"):
        run("traffik_stat", "logout", "203.0.113.7")


def test_stat_of_a_throttle_with_tiers_takes_the_tier(uid):
    tiers = Tiers({"free": "3/min", "pro": "9/min; 90/day", "staff": "unlimited"}, tier=lambda request: "free")
    throttle = HTTPThrottle(uid, tiers)
    throttle.sync.hit(RequestFactory().get("/"))
    shown = [run("traffik_stat", uid, "127.0.0.1", "--tier", tier) for tier in tiers.rates]
    assert shown == [f"{uid} 127.0.0.1: {left}\n" for left in ("2 of 3/min left", "8 of 9/min left", "unlimited")]


def test_stat_of_a_throttle_with_a_rate_function_takes_what_that_returns():
    throttles["varying"].sync.hit(RequestFactory().get("/"))
    given = "varying", "127.0.0.1", "--rate"
    assert run("traffik_stat", *given, "2/min") == "varying 127.0.0.1: 1 of 2/min left\n"
    with pytest.raises(CommandError, match="no period"):
        run("traffik_stat", *given, "2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["varying"], 'needs a request: give what it returns for the identity, such as --rate "100/min"'),
        (["varying", "--tier", "pro"], "has no tiers: leave out --tier"),
        (["login", "--rate", "2/min"], "'login' has the rate '2/min': leave out --rate"),
        (["tiers"], "give the one of the identity with --tier; they are free, pro"),
        (["tiers", "--tier", "gold"], "has no tier 'gold': its tiers are free, pro"),
    ],
)
def test_stat_says_what_to_give(words, message):
    tiers = HTTPThrottle("tiers", Tiers({"free": "3/min", "pro": "9/min"}, tier=lambda request: "free"))
    assert tiers.uid == "tiers"
    with pytest.raises(CommandError) as error:
        run("traffik_stat", words[0], "203.0.113.7", *words[1:])
    assert message in str(error.value)


def test_a_store_in_the_memory_of_another_process_is_an_error(configured):
    configured(TRAFFIK={"THROTTLES": {"login": "2/min"}})
    with pytest.raises(CommandError, match="in the memory of each server process"):
        run("traffik_reset", "login", "203.0.113.7")


def test_no_store_at_all_is_an_error(configured, uid):
    configured(TRAFFIK={"STORE": None})
    throttle = HTTPThrottle(uid, "3/min")
    with InMemoryBackend(), InMemoryBackend(), pytest.raises(CommandError, match="several stores are open"):
        run("traffik_stat", throttle.uid, "203.0.113.7")


def test_a_store_that_does_not_answer_is_an_error(configured):
    configured(TRAFFIK={"STORE": "redis://127.0.0.1:1", "THROTTLES": {"login": "2/min"}})
    with pytest.raises(CommandError, match="does not answer"):
        run("traffik_stat", "login", "203.0.113.7")
