"""Generations of keys: what is found, moved, forgotten and freed."""

from __future__ import annotations

import sys
from itertools import pairwise

from traffik.backends.inmemory.tables import SPANS, Expired, KeyTable, bucket
from traffik.strategies import FixedWindow, plan


def filled(ttl=4000):
    """A bank with the key "a" written at time 0, and when its generation closes."""
    bank = KeyTable(plan(FixedWindow(), ()))
    bank.newest["a"] = (1,)
    bank.wrote(ttl, 0)
    return bank, ttl // SPANS


def test_an_older_state_is_found_after_a_turn():
    bank, closes = filled()
    assert bank.turn(closes) == []
    assert bank.newest == {}
    home, state = bank.find("a")
    assert (home, state) == ({"a": (1,)}, (1,))


def test_nothing_turns_before_it_is_due():
    bank, closes = filled()
    assert bank.due == closes
    bank.turn(closes - 1)
    assert bank.newest == {"a": (1,)}


def test_a_generation_goes_once_its_last_state_may_have_lapsed():
    bank, closes = filled()
    bank.turn(closes)
    assert bank.due == closes + 4000
    assert bank.turn(closes + 3999) == []
    assert bank.turn(closes + 4000) == [{"a": (1,)}]
    assert bank.empty


def test_an_unknown_key_is_nowhere():
    assert filled()[0].find("b") == (None, None)


def test_overflow_is_found_by_bucket_until_it_has_lapsed():
    bank, _ = filled()
    bank.overflow[bucket("b")] = (2,)
    bank.overflow_until = 9000
    assert bank.find("b") == (bank.overflow, (2,))
    bank.turn(8999)
    assert bank.overflow
    bank.turn(9000)
    assert bank.overflow == {}


def test_forgetting_counts_the_keys_forgotten():
    bank, closes = filled()
    bank.turn(closes)
    bank.newest["b"] = (1,)
    assert bank.size() == 2
    assert [bank.forget(key) for key in ("a", "b", "c")] == [1, 1, 0]
    assert bank.size() == 0


def test_what_has_lapsed_is_freed_in_proportion_to_time():
    lapsed = Expired()
    lapsed.add({str(number): (1,) for number in range(10_000)}, 0, 1000)
    left = []
    for now in (250, 500, 750, 1000):
        lapsed.free(now)
        left.append(lapsed.left)
    assert left[-1] == 0
    assert all(abs(some - most) < 100 for some, most in zip(left, (7500, 5000, 2500, 0), strict=True))


def test_freeing_always_goes_on_a_little():
    lapsed = Expired()
    lapsed.add({str(number): (1,) for number in range(10)}, 0, 10**9)
    lapsed.free(0)
    assert 0 < lapsed.left < 10


def test_keys_spread_over_many_buckets():
    assert len({bucket(str(number)) for number in range(10_000)}) > 1000


def drained(left, keys=2000):
    """A bank with one older generation, from which all keys but `left` have moved on, and that generation."""
    bank, closes = filled()
    bank.newest.update({str(number): (number,) for number in range(keys - 1)})
    bank.turn(closes)
    home, _ = bank.find("a")
    names = ["a", *map(str, range(keys - 1))]
    for name in names[::-1][: keys - left]:
        bank.leave(home, name)
    return bank, home


def test_a_generation_lets_go_of_the_room_of_keys_that_have_moved_on():
    bank, home = drained(left=100)
    sizes = []
    while home:
        sizes.append(len(home))
        bank.wrote(4000, 1)
        assert bank.size() == 100
    kept, state = bank.find("a")
    assert state == (1,)
    assert sys.getsizeof(kept) < sys.getsizeof(home) / 10
    assert max(most - some for most, some in pairwise(sizes)) < 10


def test_a_generation_that_all_keys_have_left_is_gone():
    bank, home = drained(left=0)
    assert home == {}
    bank.wrote(4000, 1)
    assert bank.empty


def test_generations_that_lapse_amid_a_move_go_with_all_their_keys():
    bank, _ = drained(left=100)
    bank.wrote(4000, 1)
    bank.wrote(4000, 1)
    gone = bank.turn(bank.due)
    gone += bank.turn(bank.due)
    assert sum(map(len, gone)) == 100
    bank.wrote(4000, 9000)
    assert bank.size() == 0
