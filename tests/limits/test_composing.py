"""One decision over several limits, also if one of them does not count."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest

from tests import toy
from traffik import (
    BackendError,
    Decision,
    Hit,
    HTTPThrottle,
    Limiter,
    Rule,
    SettledDecision,
    Transition,
    hit_all,
    hit_all_sync,
    reserve_all,
)
from traffik.backends.base import Backend
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits import combinations
from traffik.limits.changes import change_in_store
from traffik.limits.combinations import Combination
from traffik.limits.composing import TRY, take_all
from traffik.model.coroutines import run_sync
from traffik.model.errors import ConfigurationError

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Never:
    """A strategy that refuses everything and has no stats."""

    stats = False

    def decide(self, state, rate, cost, now):
        return Transition(Decision(False, rate.limit, 0, 1_000_000), None, 0)


@pytest.fixture
def two(store):
    return Limiter("two:1", "10/min", backend=store), Limiter("two:2", "5/min", backend=store)


async def left(*limits):
    return [(await limit.stat("a")).hits_remaining for limit in limits]


async def test_the_limit_with_the_least_left_binds(two):
    decision = await hit_all("a", *two)
    assert (decision.limit, decision.remaining) == (5, 4)


async def test_the_limit_with_the_longest_wait_binds(store, clock):
    minute, hour = Limiter("minute", "1/min", backend=store), Limiter("hour", "1/hour", backend=store)
    await hit_all("a", minute, hour)
    decision = await hit_all("a", minute, hour)
    assert (str(decision.rate), decision.wait_seconds) == ("1/hour", 3600)


async def test_a_cost_that_never_fits_one_of_them_takes_from_none(two):
    decision = await hit_all("a", *two, cost=6)
    assert (decision.allowed, decision.never, decision.limit) == (False, True, 5)
    assert await left(*two) == [10, 5]


async def test_a_disabled_limit_or_a_cost_of_zero_is_left_out(two, store):
    off = Limiter("two:off", "0/min", backend=store)
    off.disable()
    none = Limiter("two:none", "0/min", backend=store)
    assert await hit_all("a", two[0], off, Hit(none, 0), two[1])
    assert await left(*two) == [9, 4]


async def test_a_check_is_true_for_a_strategy_without_stats(two, store):
    never = Limiter("two:never", "5/min", strategy=Never(), backend=store)
    verdict = await take_all(Combination([two[0], never]), "a", None, None, False, TRY)
    assert verdict.decision.allowed
    assert not await hit_all("a", two[0], never)
    assert await left(two[0]) == [10]


async def test_settling_returns_the_units_moved_even_if_there_are_none(two):
    two[0].disable()
    moved = await two[0].refund("a", 3), await two[0].charge("a", 3), await two[1].refund("a", 0)
    assert [type(each) for each in moved] == [SettledDecision] * 3
    assert [each.units for each in moved] == [0, 0, 0]


async def test_a_reservation_is_for_one_piece_of_work(two):
    reservation = reserve_all("a", *two)
    async with reservation:
        await reservation.commit(1)
        with pytest.raises(RuntimeError, match="has been settled"):
            await reservation.release()
    with pytest.raises(RuntimeError, match="call reserve"):
        await reservation.__aenter__()


async def test_a_bad_commit_settles_nothing(two):
    async with reserve_all("a", *two, cost=3) as reservation:
        for actual in (-1, True, 2.0, {two[0]: -1}, {Limiter("other", "1/min"): 1}):
            with pytest.raises((TypeError, ValueError)):
                await reservation.commit(actual)
        await reservation.commit(1)
    assert await left(*two) == [9, 4]


@pytest.mark.parametrize("limits", [(), ("two",), (Hit("two"),), (Limiter("one", "1/min"), [])])
async def test_an_object_that_is_no_limit_is_an_error(limits):
    with pytest.raises(TypeError):
        await hit_all("a", *limits)


@pytest.mark.parametrize("cost", [-1, True, 1.0])
def test_a_bad_cost_takes_nothing(two, cost):
    for limits in ((Hit(two[0], cost), two[1]), two):
        with pytest.raises((TypeError, ValueError)):
            hit_all_sync("a", *limits, cost=cost)
    assert two[0].sync.stat("a").hits_remaining == 10


class Plain(Backend):
    """A user's store, with only the methods that a hit needs."""

    def __init__(self):
        super().__init__()
        self._memory = InMemoryBackend()

    async def apply(self, charges):
        return self._memory.apply_sync(charges)

    def apply_sync(self, charges):
        return self._memory.apply_sync(charges)

    def open(self):
        return self._memory.open()

    def open_sync(self):
        self._memory.open_sync()

    def close(self):
        return self._memory.close()

    def close_sync(self):
        self._memory.close_sync()

    def reset(self, uid=None, key=None):
        return self._memory.reset(uid, key)

    def reset_sync(self, uid=None, key=None):
        self._memory.reset_sync(uid, key)


async def test_a_store_that_cannot_compose_says_so():
    store = Plain()
    one, two = Limiter("plain:1", "5/min", backend=store), Limiter("plain:2", "5/min", backend=store)
    assert await one.hit("a")
    for call in (hit_all("a", one, two), one.reserve("a").__aenter__(), one.refund("a", 1), one.take_up_to("a", 1)):
        with pytest.raises(ConfigurationError, match=r"Plain.* needs a method (take|post)"):
            await call
    assert await left(one) == [4]


def test_a_rate_among_the_limits_is_an_error(two):
    with pytest.raises(TypeError, match="one decision takes throttles and limiters, one by one, not"):
        run_sync(take_all(Combination([two[0], "1/min"]), "a", None, None, True))


async def test_a_copy_counts_in_the_same_quota(two):
    assert not await hit_all("a", two[0], copy.copy(two[0]), cost=6)
    assert await hit_all("a", two[0], copy.copy(two[0]), cost=5)
    assert await left(two[0]) == [0]


async def test_limits_with_one_identifier_identify_a_connection_once(store):
    asked = []

    async def identify(connection):
        asked.append(connection)
        return "ada"

    limits = [HTTPThrottle(f"once:{place}", "9/min", identifier=identify, backend=store) for place in range(3)]
    scoped = HTTPThrottle("once:scoped", "9/min", identifier=identify, context={"scope": "s"}, backend=store)
    connection = object()
    await take_all(Combination([*limits, scoped]), connection, 2, None, False)
    assert len(asked) == 2  # the context of the last one may make it another identity
    assert [(await limit.stat(connection)).hits_remaining for limit in (*limits, scoped)] == [7] * 4
    await take_all(Combination([limits[0], Hit(limits[1], subject="other")]), connection, None, None, False)
    assert asked[-1] == "other"


async def test_a_combination_follows_what_becomes_of_its_limits(two, store):
    third = Limiter("two:3", "5/min", backend=store)
    both = Combination([*two, third])
    assert (await take_all(both, "a", None, None, False)).decision
    two[1].disable()
    third.update(rate="2/min")
    verdicts = [await take_all(both, "a", None, None, False) for _ in range(2)]
    assert [verdict.decision.allowed for verdict in verdicts] == [True, False]
    two[1].enable()
    assert await left(*two, third) == [8, 4, 0]


@dataclass(frozen=True)
class Faulty:
    """A strategy that admits one hit, and then fails."""

    def decide(self, state, rate, cost, now):
        if state is not None:
            raise RuntimeError("the strategy failed")
        return Transition(Decision(True, rate.limit, 1), (1,), 1_000_000)


async def test_a_strategy_that_fails_leaves_the_other_limits_as_they_were(two, store):
    faulty = Limiter("two:faulty", "5/min", strategy=Faulty(), backend=store)
    await hit_all("a", *two, faulty)
    with pytest.raises(RuntimeError, match="the strategy failed"):
        await hit_all("a", *two, faulty)
    assert await left(*two) == [9, 4]


async def test_a_reservation_that_cannot_begin_gives_back_what_it_took(two, store):
    faulty = Limiter("two:faulty", lambda identity: 1 / 0, backend=store)
    with pytest.raises(ZeroDivisionError):
        await reserve_all("a", two[0], Hit(faulty, 0)).__aenter__()
    assert await left(two[0]) == [10]


async def test_a_shadow_that_cannot_be_charged_leaves_nothing_taken(two, store, monkeypatch):
    tried = Limiter("two:tried", "5/min", shadow_rate="1/min", backend=store)

    async def fail(charges):
        raise BackendError("away")

    monkeypatch.setattr(store, "apply", fail)
    with pytest.raises(BackendError):
        await reserve_all("a", *two, tried).__aenter__()
    assert await left(*two) == [10, 5]


async def test_a_reservation_shows_its_estimate(two):
    reservation = reserve_all("a", *two, cost=3)
    with pytest.raises(RuntimeError, match="has not begun"):
        _ = reservation.decision
    async with reservation:
        assert (reservation.estimate, reservation.decision.remaining) == (3, 2)
    with two[0].sync.reserve("a", 2) as of_a_thread:
        assert of_a_thread.estimate == 2


@pytest.mark.parametrize("estimate", [4, 0])
async def test_a_reservation_follows_a_new_rate_of_its_limit(store, estimate):
    limiter = Limiter("renewed", "5/min", backend=store)
    async with limiter.reserve("a", estimate) as reservation:
        limiter.update(rate="9/min")
        await reservation.commit(1)
    assert (await limiter.stat("a")).hits_remaining == 8


async def test_what_is_asked_for_no_units_or_for_a_limit_of_none_is_admitted(two):
    assert await two[0].take_up_to("a", 0) == 0
    two[0].disable()
    assert await two[0].take_up_to("a", 7) == 7
    assert all(await two[0].plan("a", [1, 99]))


async def test_the_last_combinations_are_kept(two, store, monkeypatch):
    monkeypatch.setattr(combinations, "_KEPT", 1)
    three = Limiter("two:3", "5/min", backend=store)
    for others in ([two[1]], [three], [two[1], three]):
        assert await hit_all("a", two[0], *others)
    assert [*two[0].combinations] == [(two[0], two[1], three)]


async def test_limits_in_different_stores_can_be_tried_together(two, clock):
    elsewhere = Limiter("two:elsewhere", "5/min", backend=InMemoryBackend(clock=clock))
    both = Combination([two[0], elsewhere])
    assert (await take_all(both, "a", 5, None, False, TRY)).decision
    assert not (await take_all(both, "a", 6, None, False, TRY)).decision
    assert await left(two[0], elsewhere) == [10, 5]


async def test_the_keys_of_an_overflow_are_marked_in_a_decision_of_several_limits(two, clock):
    full = InMemoryBackend(max_keys=1, clock=clock)
    limits = [Limiter(f"full:{number}", "5/min", backend=full) for number in (1, 2)]
    assert [(await hit_all(key, *limits)).degraded for key in ("a", "b", "b")] == [None, "overflow", "overflow"]


async def test_a_store_that_cannot_pass_changes_on_says_so():
    with pytest.raises(ConfigurationError, match="cannot pass a change on to other processes"):
        change_in_store(Plain(), "api", "2/min")


async def test_a_context_counts_for_all_of_them(two):
    assert await hit_all("a", *two, context={"scope": "eu"})
    assert await left(*two) == [10, 5]
    assert (await two[0].stat("a", context={"scope": "eu"})).hits_remaining == 9


async def test_a_rule_says_whether_units_are_taken_for_somebody(store):
    throttle = HTTPThrottle("ruled", "5/min", rules=[Rule(methods=["POST"])], backend=store)
    assert [await throttle.take_up_to(toy.Request(method=method), 9) for method in ("GET", "POST")] == [9, 5]
