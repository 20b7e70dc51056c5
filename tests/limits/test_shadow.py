"""Shadow limits: they count and report, and refuse nothing."""

from __future__ import annotations

import pytest

from tests import toy
from traffik import ConfigurationError, HTTPThrottle, Limiter, RateError, ResponseOptions, hit_all, is_throttled
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits.shadows import ShadowReport

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(clock):
    return InMemoryBackend(clock=clock)


class TestAWholeLimit:
    async def test_admits_everything_and_counts_what_it_would_refuse(self, store):
        limiter = Limiter("a", "2/min", shadow=True, backend=store)
        assert [bool(await limiter.hit("ada")) for _ in range(5)] == [True] * 5
        assert limiter.shadow_report == ShadowReport(admitted=2, refused=3)

    def test_does_so_in_sync_code(self, store):
        limiter = Limiter("a", "2/min", shadow=True, backend=store)
        assert [bool(limiter.sync.hit("ada")) for _ in range(5)] == [True] * 5
        assert limiter.shadow_report.refused == 3

    async def test_admits_a_cost_that_could_never_fit(self, store):
        limiter = Limiter("a", "2/min", shadow=True, backend=store)
        assert await limiter.hit("ada", 50)
        assert limiter.shadow_report.refused == 1

    async def test_checks_are_true_and_not_counted_and_stat_has_the_remaining_quota(self, store):
        limiter = Limiter("a", "2/min", shadow=True, backend=store)
        await limiter.hit("ada", 2)
        assert await limiter.check("ada")
        assert (await limiter.stat("ada")).hits_remaining == 0
        assert limiter.shadow_report == ShadowReport(admitted=1)

    async def test_a_connection_is_not_throttled(self, store):
        throttle = HTTPThrottle("a", "0/min", shadow=True, backend=store)
        request = toy.Request()
        assert await throttle.hit(request) is request
        assert not is_throttled(request)

    async def test_is_counted_once_if_its_responses_depend_on_the_client(self, store):
        throttle = HTTPThrottle("a", "1/min", shadow=True, responses=ResponseOptions(jitter=5), backend=store)
        for _ in range(2):
            await throttle.hit(toy.Request())
        assert throttle.shadow_report == ShadowReport(admitted=1, refused=1)

    async def test_does_not_refuse_with_others(self, store):
        live, shadow = Limiter("a", "5/min", backend=store), Limiter("b", "1/min", shadow=True, backend=store)
        assert [bool(await hit_all("ada", live, shadow)) for _ in range(3)] == [True] * 3
        assert shadow.shadow_report == ShadowReport(admitted=1, refused=2)

    async def test_refuses_once_promoted(self, store):
        limiter = Limiter("a", "2/min", shadow=True, backend=store)
        await limiter.hit("ada", 2)
        limiter.promote()
        assert not await limiter.hit("ada")


class TestARateBesideTheLiveOne:
    async def test_reports_where_they_differ(self, store):
        limiter = Limiter("a", "5/min", shadow_rate="3/min", backend=store)
        assert [bool(await limiter.hit("ada")) for _ in range(6)] == [True] * 5 + [False]
        assert limiter.shadow_report == ShadowReport(admitted=3, refused=1, stricter=2)

    async def test_may_be_the_looser_one(self, store):
        limiter = Limiter("a", "1/min", shadow_rate="3/min", backend=store)
        for _ in range(4):
            await limiter.hit("ada")
        assert limiter.shadow_report == ShadowReport(admitted=1, refused=1, looser=2)

    async def test_counts_in_one_decision_with_others_too(self, store):
        limiter, other = Limiter("a", "5/min", shadow_rate="1/min", backend=store), Limiter("b", "2/min", backend=store)
        for _ in range(3):
            await hit_all("ada", limiter, other)
        assert limiter.shadow_report == ShadowReport(admitted=1, stricter=2)

    async def test_becomes_the_rate_once_promoted(self, store):
        limiter = Limiter("a", "5/min", shadow_rate="3/min", backend=store)
        await limiter.hit("ada", 2)
        limiter.promote()
        assert [bool(await limiter.hit("ada")) for _ in range(2)] == [True, False]
        assert limiter.shadow is None


class TestBadOptions:
    def test_a_limit_has_one_shadow(self):
        with pytest.raises(ConfigurationError, match="one shadow"):
            Limiter("a", "1/min", shadow=True, shadow_rate="2/min")

    def test_are_errors_that_show_them(self):
        with pytest.raises(TypeError, match="shadow is True or False, not '2/min': to try a second rate"):
            Limiter("a", "1/min", shadow="2/min")
        with pytest.raises(RateError, match="not a rate"):
            Limiter("a", "1/min", shadow_rate="2")

    def test_there_has_to_be_a_shadow_to_promote(self):
        with pytest.raises(ConfigurationError, match="has no shadow to promote"):
            Limiter("a", "1/min").promote()
