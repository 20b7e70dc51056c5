"""The contract of stores: tests for your own store, through `Limiter`, as its users call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from time import monotonic_ns
from typing import ClassVar

import anyio
import pytest

from traffik.backends.base import Backend
from traffik.limits.limiter import Limiter
from traffik.model.decisions import Decision
from traffik.model.rates import Rate
from traffik.strategies import SlidingLog, SlidingWindow, Strategy
from traffik.testing.clock import VirtualClock
from traffik.testing.stores import PERIOD, TASKS, every_strategy, in_tasks, in_threads, limiter_in, per_day

__all__ = ["BackendContract"]


class BackendContract:
    """The contract of stores. Subclass it under a name that begins with ``Test``, with a method that makes a store.

    Attributes:
        virtual_time: whether `make` can put a store on a virtual clock. If not, since its server has a clock of its
            own, the tests that need one are left out.
    """

    virtual_time: ClassVar[bool] = True

    def make(self, *, namespace: str, clock: VirtualClock | None) -> Backend:
        """A store that is not open yet and has counted nothing. Stores made in one test may share a server.

        Args:
            namespace: the first part of its keys.
            clock: the clock it uses; if None, its own.
        """
        raise NotImplementedError

    @pytest.mark.anyio
    @every_strategy
    async def test_admits_exactly_the_limit(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 5, strategy)
            assert [(await limiter.hit("a")).allowed for _ in range(7)] == [True] * 5 + [False] * 2

    @every_strategy
    def test_admits_exactly_the_limit_of_sync_code(self, strategy: Strategy) -> None:
        with self._store() as store:
            hit = limiter_in(store, 5, strategy).sync.hit
            assert [hit("a").allowed for _ in range(7)] == [True] * 5 + [False] * 2

    @pytest.mark.anyio
    @every_strategy
    async def test_a_refused_hit_consumes_nothing(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 5, strategy)
            costs = (3, 3, 4, 2, 1)
            assert [(await limiter.hit("a", cost)).allowed for cost in costs] == [True, False, False, True, False]

    @pytest.mark.anyio
    @every_strategy
    async def test_check_and_stat_tell_and_change_nothing(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 5, strategy)
            await limiter.hit("a", 2)
            for _ in range(3):
                assert [bool(await limiter.check("a", cost)) for cost in (3, 4)] == [True, False]
                stat = await limiter.stat("a")
                assert stat is not None
                assert (stat.hits_remaining, stat.wait_ms, stat.rate) == (3, 0, per_day(5))
            assert await limiter.hit("a", 3)

    def test_check_and_stat_are_the_same_in_sync_code(self) -> None:
        with self._store() as store:
            limiter = limiter_in(store, 5).sync
            limiter.hit("a", 2)
            assert [bool(limiter.check("a", cost)) for cost in (3, 4)] == [True, False]
            stat = limiter.stat("a")
            assert stat is not None
            assert stat.hits_remaining == 3

    @pytest.mark.anyio
    async def test_stat_names_the_key(self) -> None:
        async with self._store("shop") as store:
            stat = await limiter_in(store, 5).stat("a")
            assert stat is not None
            assert stat.key == "shop:contract:{a}"

    @pytest.mark.anyio
    @every_strategy
    async def test_several_rates_bind_together(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = Limiter("contract", ["5/day", "3/week"], strategy=strategy, backend=store)
            decisions = [await limiter.hit("a") for _ in range(4)]
            assert [decision.allowed for decision in decisions] == [True] * 3 + [False]
            assert decisions[-1].rate == Rate.parse("3/week")

    @pytest.mark.anyio
    async def test_a_cost_that_can_never_fit_is_refused_and_consumes_nothing(self) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 5)
            decision = await limiter.hit("a", 6)
            assert (decision.allowed, decision.never) == (False, True)
            assert await limiter.hit("a", 5)

    @pytest.mark.anyio
    async def test_identities_limits_and_namespaces_have_quotas_of_their_own(self) -> None:
        async with self._store() as store, self._store("other") as elsewhere:
            one, two, far = limiter_in(store, 1), limiter_in(store, 1, uid="contract:2"), limiter_in(elsewhere, 1)
            hits = [
                (one, "a", None),
                (one, "b", None),
                (one, "a", "x"),
                (one, "a", "y"),
                (two, "a", None),
                (far, "a", None),
            ]
            for expected in (True, False):
                for limiter, identity, scope in hits:
                    context = None if scope is None else {"scope": scope}
                    assert (await limiter.hit(identity, context=context)).allowed is expected

    @pytest.mark.anyio
    async def test_an_identity_may_be_any_text(self) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 1)
            for identity in ("", "\0", "{a}", "a:b", "ünï", "\ud800", "x" * 10_000):
                assert [(await limiter.hit(identity)).allowed for _ in range(2)] == [True, False]

    @pytest.mark.anyio
    async def test_reset_forgets_one_key_one_throttle_or_everything(self) -> None:
        async with self._store() as store:
            one, two = limiter_in(store, 1), limiter_in(store, 1, uid="contract:2")
            hits = [(one, "a"), (one, "b"), (two, "a")]
            assert await _allowed(hits) == [True, True, True]
            await one.reset("a")
            assert await _allowed(hits) == [True, False, False]
            await store.reset("contract")
            assert await _allowed(hits) == [True, True, False]
            await store.reset()
            assert await _allowed(hits) == [True, True, True]

    def test_reset_is_the_same_in_sync_code(self) -> None:
        with self._store() as store:
            limiter = limiter_in(store, 1).sync
            for which in (("contract", "a"), ("contract",), ()):
                assert [limiter.hit("a").allowed for _ in range(2)] == [True, False]
                store.reset_sync(*which)
            assert limiter.hit("a")

    @every_strategy
    def test_threads_admit_exactly_the_limit(self, strategy: Strategy) -> None:
        with self._store() as store:
            hit = limiter_in(store, 100, strategy).sync.hit
            assert sum(in_threads(lambda: sum(hit("a").allowed for _ in range(50)))) == 100

    @pytest.mark.parametrize("strategy", [SlidingWindow(), SlidingLog()], ids=lambda each: type(each).__name__)
    def test_threads_admit_no_more_than_the_limit_in_any_window(self, strategy: Strategy) -> None:
        rate = Rate(20, 20_000)
        with self._store() as store:
            hit = Limiter("contract", rate, strategy=strategy, backend=store).sync.hit

            def hits() -> list[tuple[int, int]]:
                return list(_admitted(hit, rate, monotonic_ns() + 100_000_000))

            admitted = list(chain.from_iterable(in_threads(hits)))
        assert admitted
        for begin, _ in admitted:
            end = begin + 1_000 * rate.period - 100_000  # clocks of two kinds may differ by so much
            assert sum(begin <= before and after <= end for before, after in admitted) <= rate.limit

    @pytest.mark.anyio
    @every_strategy
    async def test_tasks_admit_exactly_the_limit(self, strategy: Strategy) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 100, strategy)
            decisions = await in_tasks(lambda: limiter.hit("a"))
            assert sum(decision.allowed for decision in decisions) == 100

    @pytest.mark.anyio
    async def test_tasks_get_the_answers_of_their_own_hits(self) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, TASKS)
            costs = iter(range(1, TASKS + 1))

            async def hit() -> int:
                cost = next(costs)
                return cost + (await limiter.hit(cost, cost)).remaining

            assert await in_tasks(hit) == [TASKS] * TASKS

    def test_event_loops_in_several_threads_share_the_quota(self, anyio_backend_name: str) -> None:
        with self._store() as store:
            limiter = limiter_in(store, 100)

            async def hits() -> int:
                return sum([(await limiter.hit("a")).allowed for _ in range(50)])

            assert sum(in_threads(lambda: anyio.run(hits, backend=anyio_backend_name))) == 100

    def test_it_works_in_one_event_loop_after_another(self, anyio_backend_name: str) -> None:
        store = self._store()

        async def hit() -> bool:
            async with store:
                return bool(await limiter_in(store, 5).hit("a"))

        assert [anyio.run(hit, backend=anyio_backend_name) for _ in range(3)] == [True] * 3

    @pytest.mark.anyio
    async def test_a_cancelled_hit_has_consumed_its_cost_or_nothing(self) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 100)
            with anyio.move_on_after(0.001):
                await in_tasks(lambda: limiter.hit("a"), tasks=50)
            stat = await limiter.stat("a")
            assert stat is not None
            assert 50 <= stat.hits_remaining <= 100
            assert (await limiter.hit("b", 7)).remaining == 93

    @pytest.mark.anyio
    async def test_openings_nest(self) -> None:
        async with self._store() as store:
            limiter = limiter_in(store, 1)
            async with store:
                assert await limiter.hit("a")
            assert not await limiter.hit("a")

    @pytest.mark.anyio
    @every_strategy
    async def test_the_wait_is_exact(self, strategy: Strategy) -> None:
        clock = self._clock()
        async with self._store(clock=clock) as store:
            limiter = limiter_in(store, 3, strategy)
            for cost in (3, 1, 2, 3, 1):
                while not (decision := await limiter.hit("a", cost)):
                    clock.advance(microseconds=decision.retry_after - 1)
                    assert not await limiter.check("a", cost)
                    clock.advance(microseconds=1)
                    assert await limiter.check("a", cost)

    @pytest.mark.anyio
    @every_strategy
    async def test_quota_comes_back_with_time(self, strategy: Strategy) -> None:
        clock = self._clock()
        async with self._store(clock=clock) as store:
            limiter = limiter_in(store, 3, strategy)
            for _ in range(3):
                assert [(await limiter.hit("a", 3)).allowed for _ in range(2)] == [True, False]
                clock.advance(microseconds=2 * PERIOD)

    @pytest.mark.anyio
    async def test_several_rates_are_all_or_nothing(self) -> None:
        clock = self._clock()
        async with self._store(clock=clock) as store:
            limiter = Limiter("contract", "3/hour; 5/day", backend=store)
            assert [(await limiter.hit("a")).allowed for _ in range(10)] == [True] * 3 + [False] * 7
            clock.advance(seconds=7200)
            assert [(await limiter.hit("a")).allowed for _ in range(3)] == [True] * 2 + [False]

    @pytest.mark.anyio
    @every_strategy
    async def test_a_clock_going_back_gives_nothing_back(self, strategy: Strategy) -> None:
        clock = self._clock()
        async with self._store(clock=clock) as store:
            limiter = limiter_in(store, 3, strategy)
            await limiter.hit("a", 3)
            for span in (1, PERIOD // 2, 3 * PERIOD):
                clock.rewind(microseconds=span)
                assert not await limiter.hit("a")

    def _store(self, namespace: str = "traffik", clock: VirtualClock | None = None) -> Backend:
        return self.make(namespace=namespace, clock=clock)

    def _clock(self) -> VirtualClock:
        if not self.virtual_time:
            pytest.skip("the store has its own clock")
        return VirtualClock()


async def _allowed(hits: list[tuple[Limiter, str]]) -> list[bool]:
    return [(await limiter.hit(identity)).allowed for limiter, identity in hits]


def _admitted(hit: Callable[[str], Decision], rate: Rate, end: int) -> Iterator[tuple[int, int]]:
    """The times in ns before and after each hit admitted until `end`. No wait is longer than the period."""
    while (before := monotonic_ns()) < end:
        decision = hit("a")
        assert decision.retry_after <= rate.period
        if decision and decision.degraded is None:  # a store that was too slow has not decided
            yield before, monotonic_ns()
