"""Tables of keys in generations: how keys are found, moved, forgotten and freed."""

from __future__ import annotations

import sys
from itertools import pairwise

from traffik.backends.inmemory.tables import SPANS, KeyTable, bucket
from traffik.strategies import FixedWindow, plan


def filled(ttl=4000):
    """A table with the key "a" written at time 0, and when its generation closes."""
    table = KeyTable(plan(FixedWindow(), ()))
    table.newest["a"] = (1,)
    table.wrote(ttl, 0)
    return table, ttl // SPANS


def test_an_older_state_is_found_after_a_rotation():
    table, closes = filled()
    assert table.rotate(closes) == []
    assert table.newest == {}
    home, state = table.find("a")
    assert (home, state) == ({"a": (1,)}, (1,))


def test_nothing_rotates_before_it_is_due():
    table, closes = filled()
    assert table.due == closes
    table.rotate(closes - 1)
    assert table.newest == {"a": (1,)}


def test_a_generation_is_removed_after_its_last_state_has_expired():
    table, closes = filled()
    table.rotate(closes)
    assert table.due == closes + 4000
    assert table.rotate(closes + 3999) == []
    assert table.rotate(closes + 4000) == [{"a": (1,)}]
    assert table.empty


def test_an_unknown_key_is_not_found():
    assert filled()[0].find("b") == (None, None)


def test_overflow_is_found_by_bucket_until_it_expires():
    table, _ = filled()
    table.overflow[bucket("b")] = (2,)
    table.overflow_until = 9000
    assert table.find("b") == (table.overflow, (2,))
    table.rotate(8999)
    assert table.overflow
    table.rotate(9000)
    assert table.overflow == {}


def test_forgetting_counts_the_keys_forgotten():
    table, closes = filled()
    table.rotate(closes)
    table.newest["b"] = (1,)
    assert table.size() == 2
    assert [table.forget(key) for key in ("a", "b", "c")] == [1, 1, 0]
    assert table.size() == 0


def test_keys_spread_over_many_buckets():
    assert len({bucket(str(number)) for number in range(10_000)}) > 1000


def drained(left, keys=2000):
    """A table with one older generation, from which all keys but `left` have moved on, and that generation."""
    table, closes = filled()
    table.newest.update({str(number): (number,) for number in range(keys - 1)})
    table.rotate(closes)
    home, _ = table.find("a")
    names = ["a", *map(str, range(keys - 1))]
    for name in names[::-1][: keys - left]:
        table.leave(home, name)
    return table, home


def test_a_sparse_generation_moves_to_a_smaller_dict():
    table, home = drained(left=100)
    sizes = []
    while home:
        sizes.append(len(home))
        table.wrote(4000, 1)
        assert table.size() == 100
    kept, state = table.find("a")
    assert state == (1,)
    assert sys.getsizeof(kept) < sys.getsizeof(home) / 10
    assert max(most - some for most, some in pairwise(sizes)) < 10


def test_an_empty_generation_is_removed():
    table, home = drained(left=0)
    assert home == {}
    table.wrote(4000, 1)
    assert table.empty


def test_generations_that_expire_during_a_move_are_removed_with_all_keys():
    table, _ = drained(left=100)
    table.wrote(4000, 1)
    table.wrote(4000, 1)
    gone = table.rotate(table.due)
    gone += table.rotate(table.due)
    assert sum(map(len, gone)) == 100
    table.wrote(4000, 9000)
    assert table.size() == 0
