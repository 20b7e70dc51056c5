"""Notices about setups that work but are probably mistakes, and setups that cause none."""

from __future__ import annotations

import asyncio
import logging

import anyio.to_thread
import pytest

from tests import toy
from traffik import (
    EXEMPTED,
    FixedWindow,
    HTTPThrottle,
    Limiter,
    Throttled,
    TokenBucket,
    WebSocketThrottle,
    adapters,
    notices,
)
from traffik.backends.inmemory import InMemoryBackend
from traffik.model.coroutines import run_sync
from traffik.notices import misconfiguration
from traffik.throttles import guards


@pytest.fixture(autouse=True)
def nothing_said(caplog):
    caplog.set_level(logging.CRITICAL, "traffik.notices")
    notices.clear_notices()
    yield
    notices.clear_notices()


def said():
    return [(notice.id, notice.about) for notice in notices.said()]


class Distant(InMemoryBackend):
    """A store that suspends in async code, as one on a network does."""

    in_process = False


class TestCostAboveCapacity:
    @pytest.mark.parametrize("kind", [HTTPThrottle, WebSocketThrottle, Limiter])
    def test_a_fixed_cost_that_never_fits_is_reported_when_the_limit_is_made(self, kind):
        kind("dear", "5/min; 100/hour", cost=6)
        assert said() == [("cost-above-capacity", "dear")]
        assert "'dear' costs 6, and its limit admits 5 at once" in notices.said()[0].sentence

    @pytest.mark.parametrize(
        ("rate", "options"),
        [
            ("5/min", {"cost": 5}),
            ("0/min", {}),
            ("0/min", {"cost": 9}),
            ("unlimited", {"cost": 9}),
            ("5/min", {"cost": lambda: 6}),
            (lambda: "5/min", {"cost": 6}),
            ("5/min", {"cost": 20, "strategy": TokenBucket(burst=20)}),
        ],
    )
    def test_other_costs_are_not_reported(self, rate, options):
        Limiter("fine", rate, **options)
        assert said() == []


class TestCountedTwice:
    @pytest.fixture(params=[{}, {"identifier": lambda _: "ada"}], ids=["by address", "by identifier"])
    def throttle(self, request, store):
        with store:
            yield HTTPThrottle("twice", "9/min", **request.param)

    @pytest.mark.anyio
    async def test_a_request_that_is_counted_twice_is_reported_once(self, throttle):
        for request in (toy.Request(), toy.Request()):
            await throttle.decide(request)
            await throttle.hit(request)
            throttle.sync.hit(request)
        assert said() == [("counted-twice", "twice")]

    @pytest.mark.parametrize("options", [{}, {"identifier": lambda _: "ada"}], ids=["by address", "by identifier"])
    def test_two_objects_with_one_uid_are_reported_too(self, options, store):
        request = toy.Request()
        for throttle in [HTTPThrottle("twice", "9/min", backend=store, **options) for _ in range(2)]:
            run_sync(guards.hit_each([throttle], request, sync=True))
        assert said() == [("counted-twice", "twice")]

    def test_one_uid_in_two_stores_is_counted_once_in_each(self, store):
        request = toy.Request()
        for each in (store, InMemoryBackend()):
            HTTPThrottle("twice", "9/min", backend=each).sync.hit(request)
        assert said() == []

    def test_requests_that_are_counted_once_are_not_reported(self, throttle, store):
        other = HTTPThrottle("other", "9/min", backend=store)
        for _ in range(3):
            request = toy.Request()
            throttle.sync.hit(request)
            other.sync.hit(request)
        assert said() == []

    def test_hits_with_a_cost_or_a_context_are_not_reported(self, throttle):
        request = toy.Request()
        throttle.sync.hit(request)
        throttle.sync.hit(request, 2)
        throttle.sync.hit(request, context={"scope": "images"})
        assert said() == []

    def test_a_hit_without_a_cost_does_not_count(self, throttle):
        request = toy.Request()
        throttle.sync.hit(request, 0)
        throttle.sync.hit(request)
        assert said() == []

    def test_a_second_hit_after_a_refusal_is_not_reported(self, store):
        throttle, request = HTTPThrottle("twice", "0/min", backend=store), toy.Request()
        for _ in range(2):
            with pytest.raises(Throttled):
                throttle.sync.hit(request)
        assert said() == []

    def test_exempted_clients_are_not_reported(self, store):
        throttle, request = HTTPThrottle("twice", "9/min", backend=store, identifier=lambda _: EXEMPTED), toy.Request()
        for _ in range(2):
            throttle.sync.hit(request)
        assert said() == []

    @pytest.mark.anyio
    @pytest.mark.parametrize("kind", [HTTPThrottle, WebSocketThrottle])
    @pytest.mark.parametrize("options", [{}, {"identifier": lambda _: "ada"}], ids=["by address", "by identifier"])
    async def test_several_messages_of_a_websocket_are_not_reported(self, kind, options, store):
        with store:
            throttle, socket = kind("twice", "9/min", **options), toy.Socket([])
            for _ in range(3):
                await throttle.hit(socket)
        assert said() == []


class TestThrottleInHandler:
    def handle(self, uid="same"):
        return Limiter(uid, "1/min")

    def test_a_line_that_keeps_making_limits_is_reported(self, store):
        with store:
            for _ in range(misconfiguration.MOST_OF_ONE + 5):
                self.handle()
        (notice,) = notices.said()
        assert (notice.id, __file__ in notice.about) == ("throttle-in-handler", True)

    def test_a_line_that_makes_limits_with_many_uids_is_reported(self, store):
        with store:
            for number in range(misconfiguration.MOST_OF_ANY + 5):
                self.handle(f"user:{number}")
        assert [notice for notice, _ in said()] == ["throttle-in-handler"]

    def test_an_application_may_make_many_limits_before_it_starts(self):
        for number in range(misconfiguration.MOST_OF_ANY + 5):
            self.handle(f"route:{number % 7}")
        assert said() == []

    def test_a_factory_may_make_some_limits_later(self, store):
        with store:
            for number in range(misconfiguration.MOST_OF_ANY // 2):
                self.handle(f"plugin:{number}")
        assert said() == []

    def test_the_memory_for_counting_is_bounded(self, monkeypatch):
        monkeypatch.setattr(misconfiguration, "_notify", lambda *_: None)
        for number in range(10_000):
            misconfiguration.limit_made(f"user:{number}", f"views.py:{number}")
        assert len(misconfiguration._made) <= 1_100


class TestSyncStoreOnLoop:
    @pytest.mark.parametrize(("store", "expected"), [(Distant(), ["sync-store-on-loop"]), (InMemoryBackend(), [])])
    def test_waiting_inside_a_loop_is_reported(self, store, expected):
        async def wait():
            HTTPThrottle("t", "9/min", backend=store).sync.hit(toy.Request())
            Limiter("l", "9/min", backend=store).sync.check("ada")

        asyncio.run(wait())
        assert said() == [(notice, uid) for notice in expected for uid in "tl"]

    def test_waiting_in_a_thread_is_not_reported(self):
        limiter = Limiter("l", "9/min", backend=Distant())
        limiter.sync.hit("ada")
        asyncio.run(anyio.to_thread.run_sync(limiter.sync.hit, "ada"))
        assert said() == []

    def test_awaiting_is_not_reported(self):
        assert asyncio.run(Limiter("l", "9/min", backend=Distant()).hit("ada"))
        assert said() == []


class TestUnboundedScopes:
    @pytest.mark.parametrize("scopes", [misconfiguration.MOST_SCOPES + 1, misconfiguration.MOST_SCOPES])
    def test_more_than_a_thousand_scopes_are_reported(self, scopes, store):
        limiter = Limiter("scopes", "9/min", backend=store)
        for number in [*range(scopes), *range(scopes)]:
            limiter.sync.hit("ada", context={"scope": number})
        assert said() == [("unbounded-scopes", "scopes")] * (scopes > misconfiguration.MOST_SCOPES)

    def test_no_scopes_are_kept_after_that(self, store):
        limiter = Limiter("scopes", "9/min", backend=store, strategy=FixedWindow())
        for number in range(3 * misconfiguration.MOST_SCOPES):
            limiter.sync.check("ada", context={"scope": f"/items/{number}"})
        assert limiter.scopes is None


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Another project's distribution named traffik, as pip leaves it on the path."""
    info = tmp_path / "traffik-1.2.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: traffik\nVersion: 1.2.2\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_the_other_project_with_this_name_is_reported_at_the_first_start(installed, monkeypatch):
    monkeypatch.setattr(adapters, "_entry_points", None)
    with InMemoryBackend(), InMemoryBackend():
        pass
    assert [notice.id for notice in notices.said()] == ["other-distribution"]
    assert "pip uninstall traffik traffik-core" in notices.said()[0].sentence


def test_our_distribution_alone_is_not_reported(monkeypatch):
    monkeypatch.setattr(adapters, "_entry_points", None)
    with InMemoryBackend():
        assert notices.said() == ()
