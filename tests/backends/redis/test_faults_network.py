"""Faults of the network between a store and its server: by default, the fallback limiter decides before the deadline.

Each fault hits a store that worked before. After the fault the store decides again and has lost no usage.
"""

from __future__ import annotations

import pytest

from tests.backends.redis.servers import resolve
from tests.backends.redis.ways import BUSY, LIMIT

DEADLINE = 0.2

# All faults of a connection to a healthy server.
FAULTS = {
    "refused": lambda proxy: proxy.refuse(),
    "slow": lambda proxy: setattr(proxy, "latency_ms", 600),
    "black-holed": lambda proxy: proxy.black_hole(),
    "garbage": lambda proxy: proxy.garbage(),
    "a reply of the wrong kind": lambda proxy: proxy.garbage(b"+OK\r\n"),
    "a reply of the wrong length": lambda proxy: proxy.garbage(b"*2\r\n:1\r\n:2\r\n"),
    "a reply of the wrong things": lambda proxy: proxy.garbage(b"*5\r\n+a\r\n+b\r\n+c\r\n+d\r\n+e\r\n"),
    "a reply that is null": lambda proxy: proxy.garbage(b"*-1\r\n"),
    "a map that cannot be one": lambda proxy: proxy.garbage(b"%1\r\n*0\r\n:1\r\n"),
    "an error that is no text": lambda proxy: proxy.garbage(b"-\xff\xfe\r\n"),
    "half a reply": lambda proxy: proxy.garbage(b"*5\r\n:1\r\n"),
    "a reply with garbage behind it": lambda proxy: proxy.garbage(b"+OK\r\nHTTP/1.1 400 Bad Request\r\n"),
    "loading": lambda proxy: proxy.garbage(b"-LOADING Redis is loading the dataset in memory\r\n"),
    "moved nowhere": lambda proxy: proxy.garbage(b"-MOVED 1 nowhere\r\n"),
}


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


each_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())


@each_fault
def test_the_fallback_takes_over_in_time_and_the_store_decides_again_afterwards(fault, proxy, shop):
    one = shop(deadline=DEADLINE)
    one.recovered()  # connecting may take longer on a busy machine
    before = one.store.degraded.get("fallback", 0)
    one.hit()
    fault(proxy)
    decisions, times = zip(*[one.timed() for _ in range(3)], strict=True)
    assert [(each.allowed, each.degraded, each.remaining) for each in decisions] == [
        (True, "fallback", LIMIT - count) for count in (1, 2, 3)
    ]
    assert max(times) < DEADLINE + BUSY
    assert one.store.degraded == {"fallback": before + 3}
    proxy.heal()
    one.recovered()
    assert 1 <= one.used() <= 4  # hits sent before the fault was noticed may have been counted, once each


@pytest.mark.parametrize("garbage", [b"+OK\r\nHTTP/1.1 400 Bad Request\r\n", b"HTTP/1.1 400 Bad Request\r\n"])
def test_invalid_replies_raise_nothing_in_the_event_loop(proxy, shop, caplog, garbage):
    one = shop()
    one.hit()
    proxy.garbage(garbage)
    assert one.hit().degraded == "fallback"
    assert [record for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("fault", ["refuse", "black_hole", "garbage"])
def test_an_application_starts_while_the_server_does_not_answer(fault, proxy, shop):
    getattr(proxy, fault)()
    one = shop(deadline=DEADLINE)
    decision, seconds = one.timed()
    assert (decision.allowed, decision.degraded, seconds < DEADLINE + BUSY) == (True, "fallback", True)
    proxy.heal()
    one.recovered()
    assert one.hit().degraded is None


@pytest.mark.parametrize("fault", ["drop_next_reply", "cut_next_reply"])
def test_a_hit_whose_reply_is_lost_has_been_counted_once(fault, proxy, shop):
    one = shop(deadline=DEADLINE)
    one.hit()
    getattr(proxy, fault)()
    assert one.hit(cost=10).degraded == "fallback"
    one.recovered()
    assert (one.used(), one.store.degraded) == (11, {"fallback": 1})


def test_a_reply_that_arrives_byte_by_byte_is_read(proxy, shop):
    one = shop(deadline=5)
    one.hit()
    proxy.trickle()
    assert [(each.degraded, each.remaining) for each in (one.hit(), one.hit())] == [
        (None, LIMIT - 2),
        (None, LIMIT - 3),
    ]


def test_a_reset_connection_costs_the_next_hit_nothing(proxy, shop):
    one = shop()
    one.hit()
    proxy.reset()
    one.way.breathe()
    assert (one.hit().remaining, one.store.degraded, proxy.open) == (LIMIT - 2, {}, 1)


def test_an_unexpected_reply_is_not_taken_for_an_answer(proxy, shop):
    one = shop()
    one.hit()
    proxy.garbage(b"*5\r\n:1\r\n:3\r\n:7\r\n:0\r\n:0\r\n" * 2)  # well formed, but one reply too many
    assert one.hit("eve").remaining == 7
    proxy.heal()
    assert (one.hit("bob").remaining, one.hit("bob").remaining) == (LIMIT - 1, LIMIT - 2)


def test_the_error_says_whether_a_hit_may_have_been_counted(proxy, shop):
    errors = []
    one = shop(deadline=DEADLINE, on_error=lambda error: errors.append(error) or "allow")
    one.hit()
    for fault in (proxy.drop_next_reply, proxy.cut_next_reply, proxy.garbage, proxy.refuse):
        fault()
        one.way.breathe()
        one.hit()
        proxy.heal()
        one.recovered()
    assert [(error.maybe_executed) for error in errors][:3] == [True] * 3
    assert not errors[-1].maybe_executed
