"""How the in-memory store frees expired keys, and copies the states that lived meanwhile."""

from __future__ import annotations

from traffik.backends.inmemory.expired import Expired
from traffik.backends.inmemory.tables import KeyTable, bucket
from traffik.strategies import FixedWindow, plan

STATE = (10**9, (10**6, 3, "x", (10**12,)), None, True)


def test_expired_keys_are_freed_in_proportion_to_time():
    expired = Expired()
    expired.add({str(number): (1,) for number in range(10_000)}, 0, 1000)
    left = []
    for now in (250, 500, 750, 1000):
        expired.free(now)
        left.append(expired.left)
    assert left[-1] == 0
    assert all(abs(some - most) < 100 for some, most in zip(left, (7500, 5000, 2500, 0), strict=True))


def test_each_call_frees_at_least_a_few_keys():
    expired = Expired()
    expired.add({str(number): (1,) for number in range(10)}, 0, 10**9)
    expired.free(0)
    assert 0 < expired.left < 10


def after(freed):
    """A table with two keys, after so many others were freed and all its states were copied that are worth it."""
    table, expired = KeyTable(plan(FixedWindow(), ())), Expired()
    table.newest["a"] = STATE
    table.close(0)
    table.newest["b"] = STATE
    table.overflow[bucket("c")] = STATE
    expired.add({str(number): (1,) for number in range(freed)}, 0, 1000)
    expired.free(999)
    assert expired.copy_others([table], 2)
    expired.free(1000)
    while expired.copy_others([table], 2):
        pass
    return table


def objects(state):
    """The ids of the tuples and of the large integers in a state."""
    if isinstance(state, tuple):
        return {id(state)}.union(*map(objects, state))
    return {id(state)} if isinstance(state, int) and state > 10**5 else set()


def test_states_that_outlive_many_others_are_copied_as_they_are():
    table = after(freed=20_000)
    for key in ("a", "b"):
        state = table.find(key)[1]
        assert state == STATE
        assert not objects(state) & objects(STATE)
    assert table.overflow == {bucket("c"): STATE}
    assert table.size() == 2


def test_no_state_is_copied_because_of_few_others():
    table = after(freed=10_000)
    assert table.find("a")[1] is table.find("b")[1] is STATE


def test_keys_that_are_forgotten_meanwhile_are_not_copied():
    table, expired = KeyTable(plan(FixedWindow(), ())), Expired()
    table.newest.update(dict.fromkeys(map(str, range(100)), STATE))
    expired.add({str(number): (1,) for number in range(20_000)}, 0, 1)
    expired.free(1)
    assert expired.copy_others([table], 100)
    table.clear(table.plan)
    table.overflow = dict.fromkeys(map(str, range(1024)), STATE)
    while expired.copy_others([table], 0):
        pass
    assert table.size() == 0
    assert all(state is STATE for state in table.overflow.values())
