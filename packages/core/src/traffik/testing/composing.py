"""The contract of stores that take from several limits in one step, and settle: tests for your own store."""

from __future__ import annotations

from itertools import cycle

import pytest

from traffik.limits.combinations import Hit
from traffik.limits.limiter import Limiter
from traffik.model.errors import ConfigurationError
from traffik.model.rates import Rate
from traffik.strategies import SlidingWindow, Strategy
from traffik.testing.backends import BackendContract
from traffik.testing.stores import (
    IdlePeriod,
    every_strategy,
    in_tasks,
    in_threads,
    limiter_in,
    per_day,
    settling_strategies,
)
from traffik.throttles.all_of import hit_all, hit_all_sync, reserve_all, reserve_all_sync

__all__ = ["ComposingContract"]


class ComposingContract(BackendContract):
    """`BackendContract`, with tests of `take` and `post`. Use it in the same way."""

    @pytest.mark.anyio
    @settling_strategies
    async def test_several_limits_take_all_or_nothing(self, strategy: Strategy) -> None:
        async with self._store() as store:
            wide, narrow = limiter_in(store, 10, strategy, "contract:1"), limiter_in(store, 2, strategy, "contract:2")
            decisions = [await hit_all("a", *both) for both in _both_ways(wide, narrow, times=6)]
            assert [decision.allowed for decision in decisions] == [True] * 2 + [False] * 4
            assert [decision.rate for decision in decisions] == [per_day(2)] * 6
            assert [await _left(wide), await _left(narrow)] == [8, 0]

    @settling_strategies
    def test_several_limits_take_all_or_nothing_in_sync_code(self, strategy: Strategy) -> None:
        with self._store() as store:
            wide, narrow = limiter_in(store, 10, strategy, "contract:1"), limiter_in(store, 2, strategy, "contract:2")
            decisions = [hit_all_sync("a", *both) for both in _both_ways(wide, narrow, times=6)]
            assert [decision.allowed for decision in decisions] == [True] * 2 + [False] * 4
            assert wide.sync.hit("a", 8)
            assert not wide.sync.hit("a")

    @pytest.mark.anyio
    @settling_strategies
    async def test_a_key_that_is_hit_twice_in_one_decision_has_room_for_both(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 5, strategy)
            hits = [Hit(limiter, 2), Hit(limiter, 1)]
            assert [bool(await hit_all("a", *hits)) for _ in range(2)] == [True, False]
            assert await _left(limiter) == 2

    @pytest.mark.anyio
    async def test_every_limit_of_a_decision_may_have_a_cost_and_an_identity_of_its_own(self) -> None:
        async with self._store() as store:
            one, two = limiter_in(store, 10, uid="contract:1"), limiter_in(store, 10, uid="contract:2")
            await hit_all("a", Hit(one, 3), Hit(one, subject="b"), two, cost=2)
            assert [await _left(one), await _left(one, "b"), await _left(two)] == [7, 8, 8]

    @pytest.mark.anyio
    async def test_several_rates_count_in_a_decision_of_several_limits(self) -> None:
        async with self._store() as store:
            rates = Limiter("contract:1", ["5/day", "3/week"], backend=store)
            other = limiter_in(store, 9, uid="contract:2")
            decisions = [await hit_all("a", other, rates) for _ in range(4)]
            assert [decision.allowed for decision in decisions] == [True] * 3 + [False]
            assert decisions[-1].rate == Rate.parse("3/week")
            assert await _left(other) == 6

    @pytest.mark.anyio
    async def test_strategies_of_several_kinds_decide_together(self) -> None:
        async with self._store() as store:
            idle, window = limiter_in(store, 2, IdlePeriod(), "contract:1"), limiter_in(store, 9, uid="contract:2")
            decisions = [await hit_all("a", *both) for both in _both_ways(idle, window, times=4)]
            assert [decision.allowed for decision in decisions] == [True] * 2 + [False] * 2
            assert [await _left(idle), await _left(window)] == [0, 7]

    @pytest.mark.anyio
    @settling_strategies
    async def test_tasks_take_all_or_nothing(self, strategy: Strategy) -> None:
        async with self._store() as store:
            wide, narrow = limiter_in(store, 200, strategy, "contract:1"), limiter_in(store, 60, strategy, "contract:2")
            pairs = cycle(_both_ways(wide, narrow, times=2))
            decisions = await in_tasks(lambda: hit_all("a", *next(pairs)))
            assert sum(decision.allowed for decision in decisions) == 60
            assert [await _left(wide), await _left(narrow)] == [140, 0]

    def test_threads_take_all_or_nothing(self) -> None:
        with self._store() as store:
            wide, narrow = limiter_in(store, 900, uid="contract:1"), limiter_in(store, 60, uid="contract:2")

            def hits() -> int:
                return sum(hit_all_sync("a", *both).allowed for both in _both_ways(wide, narrow, times=20))

            assert sum(in_threads(hits)) == 60
            assert wide.sync.check("a", 840)
            assert not wide.sync.check("a", 841)

    @pytest.mark.anyio
    @settling_strategies
    async def test_the_wait_of_several_limits_is_exact(self, strategy: Strategy) -> None:
        clock = self._clock()
        async with self._store(clock=clock) as store:
            hour = Limiter("contract:1", "2/hour", strategy=strategy, backend=store)
            both = (hour, limiter_in(store, 3, strategy, "contract:2"))
            for _ in range(8):
                while not (decision := await hit_all("a", *both)):
                    clock.advance(microseconds=decision.retry_after - 1)
                    assert not await hit_all("a", *both)
                    clock.advance(microseconds=1)

    @pytest.mark.anyio
    @settling_strategies
    async def test_a_commit_settles_the_difference(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 10, strategy)
            for actual, left in ((2, 8), (4, 4), (0, 4)):
                async with limiter.reserve("a", 3) as reservation:
                    assert reservation
                    await reservation.commit(actual)
                assert await _left(limiter) == left

    @settling_strategies
    def test_a_commit_settles_the_difference_in_sync_code(self, strategy: Strategy) -> None:
        with self._store() as store:
            limiter = limiter_in(store, 10, strategy).sync
            for actual, left in ((2, 8), (4, 4), (0, 4)):
                with limiter.reserve("a", 3) as reservation:
                    assert reservation
                    reservation.commit(actual)
                assert [limiter.check("a", cost).allowed for cost in (left, left + 1)] == [True, False]

    @pytest.mark.anyio
    @settling_strategies
    async def test_a_reservation_without_a_commit_keeps_the_estimate(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 10, strategy)
            async with limiter.reserve("a", 3):
                pass
            async with limiter.reserve("a", 3) as reservation:
                await reservation.release()
            assert await _left(limiter) == 7

    @pytest.mark.anyio
    @settling_strategies
    async def test_an_error_gives_the_estimate_back_unless_it_is_kept(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 10, strategy)
            for keep, left in ((False, 10), (True, 7)):
                with pytest.raises(ZeroDivisionError):
                    async with limiter.reserve("a", 3, keep_on_error=keep):
                        raise ZeroDivisionError
                assert await _left(limiter) == left

    @pytest.mark.anyio
    async def test_a_refused_reservation_takes_nothing(self) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 10)
            async with limiter.reserve("a", 11) as reservation:
                assert not reservation
                with pytest.raises(RuntimeError):
                    await reservation.commit(1)
            assert await _left(limiter) == 10

    @pytest.mark.anyio
    async def test_a_reservation_of_nothing_charges_what_is_committed(self) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 10)
            async with limiter.reserve("a", 0) as reservation:
                assert await _left(limiter) == 10
                await reservation.commit(4)
            assert await _left(limiter) == 6

    @pytest.mark.anyio
    @settling_strategies
    async def test_a_reservation_of_several_limits_is_one(self, strategy: Strategy) -> None:
        async with self._store() as store:
            wide, narrow = limiter_in(store, 10, strategy, "contract:1"), limiter_in(store, 4, strategy, "contract:2")
            async with reserve_all("a", wide, narrow, cost=3) as reservation:
                async with reserve_all("a", wide, narrow, cost=3) as refused:
                    assert not refused
                await reservation.commit({wide: 1})
            assert [await _left(wide), await _left(narrow)] == [9, 1]

    @pytest.mark.anyio
    @settling_strategies
    async def test_tasks_that_reserve_settle_exactly(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 1000, strategy)

            async def work() -> None:
                async with limiter.reserve("a", 3) as reservation:
                    await reservation.commit(2)

            await in_tasks(work, tasks=50)
            assert await _left(limiter) in {899, 900}  # a bucket that drains while the units are out gives less back

    def test_threads_that_reserve_settle_exactly(self) -> None:
        with self._store() as store:
            one, two = limiter_in(store, 1000, uid="contract:1"), limiter_in(store, 1000, uid="contract:2")

            def work() -> None:
                for _ in range(10):
                    with reserve_all_sync("a", one, two, cost=1) as reservation:
                        reservation.commit({one: 2, two: 0})

            in_threads(work)
            assert [one.sync.check("a", cost).allowed for cost in (840, 841)] == [True, False]
            assert two.sync.check("a", 1000)

    @pytest.mark.anyio
    @settling_strategies
    async def test_a_refund_gives_back_what_was_taken_and_no_more(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 10, strategy)
            await limiter.hit("a", 4)
            assert (await limiter.refund("a", 3)).units == -3
            assert await _left(limiter) == 9
            assert (await limiter.refund("a", 5)).units == -1
            assert await _left(limiter) == 10

    @pytest.mark.anyio
    @settling_strategies
    async def test_a_charge_never_refuses_and_is_cut_at_one_limit_above(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 10, strategy)
            assert [(await limiter.charge("a", units)).units for units in (4, 9, 9)] == [4, 9, 7]
            assert await _left(limiter) == 0
            assert not await limiter.hit("a")

    @pytest.mark.anyio
    @settling_strategies
    async def test_a_charge_above_the_limit_makes_waits_longer(self, strategy: Strategy) -> None:
        clock = self._clock()
        async with self._store(clock=clock) as store:
            limiter = limiter_in(store, 10, strategy)
            await limiter.charge("a", 15)
            while not (decision := await limiter.hit("a", 5)):
                clock.advance(microseconds=decision.retry_after - 1)
                assert not await limiter.hit("a", 5)
                clock.advance(microseconds=1)

    @pytest.mark.anyio
    @every_strategy
    async def test_as_many_units_are_taken_as_are_left(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 10, strategy)
            assert [await limiter.take_up_to("a", most) for most in (4, 4, 4, 4)] == [4, 4, 2, 0]
            assert await limiter.take_up_to("b", 100) == 10

    @every_strategy
    def test_refund_charge_and_the_rest_are_the_same_in_sync_code(self, strategy: Strategy) -> None:
        with self._store() as store:
            limiter = limiter_in(store, 10, strategy).sync
            assert [limiter.take_up_to("a", most) for most in (8, 4)] == [8, 2]
            assert [bool(decision) for decision in limiter.plan("b", [5, 5, 1])] == [True, True, False]
            if not isinstance(strategy, IdlePeriod):
                assert (limiter.refund("a", 3).units, limiter.charge("a", 2).units) == (-3, 2)

    @pytest.mark.anyio
    @every_strategy
    async def test_a_plan_tells_when_and_takes_nothing(self, strategy: Strategy) -> None:
        clock = self._clock()
        async with self._store(clock=clock) as store:
            limiter = limiter_in(store, 3, strategy)
            costs, passed = [2, 1, 2, 3, 4], 0
            planned = await limiter.plan("a", costs)
            assert await _left(limiter) == 3
            assert [decision.never for decision in planned] == [False] * 4 + [True]
            for cost, decision in zip(costs[:4], planned, strict=False):
                clock.advance(microseconds=decision.retry_after - passed)
                passed = decision.retry_after
                assert await limiter.hit("a", cost)

    @pytest.mark.anyio
    async def test_a_strategy_that_cannot_settle_says_so_and_takes_nothing(self) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 10, IdlePeriod())
            for call in (limiter.refund("a", 1), limiter.charge("a", 1), limiter.reserve("a", 1).__aenter__()):
                with pytest.raises(ConfigurationError, match="IdlePeriod"):
                    await call
            assert await _left(limiter) == 10

    @pytest.mark.anyio
    async def test_what_nothing_limits_can_be_settled(self) -> None:
        async with self._store() as store:
            free, limiter = Limiter("contract:1", "unlimited", backend=store), limiter_in(store, 5, SlidingWindow())
            async with reserve_all("a", free, limiter, cost=3) as reservation:
                await reservation.commit(5)
            assert await _left(limiter) == 0
            assert [(await free.refund("a", 3)).units, await free.take_up_to("a", 7)] == [0, 7]


def _both_ways(one: Limiter, two: Limiter, *, times: int) -> list[tuple[Limiter, Limiter]]:
    """Pairs in one order and in the other, by turns."""
    return [(one, two), (two, one)] * (times // 2)


async def _left(limiter: Limiter, identity: str = "a") -> int:
    """What is left, as a stat tells it."""
    stat = await limiter.stat(identity)
    assert stat is not None
    return stat.hits_remaining
