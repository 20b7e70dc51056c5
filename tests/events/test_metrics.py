"""Metrics as Prometheus scrapes them."""

import asyncio
import importlib
import sys

import pytest

from tests.events.scraping import exporting
from tests.recording import RecordingBackend
from traffik import Limiter, hit_all_sync, subscribe
from traffik.backends import probes
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend
from traffik.events.delivery import lost
from traffik.model.decisions import UNAVAILABLE, Decision


@pytest.fixture
def every_sample(monkeypatch):
    monkeypatch.setattr(probes, "_PAUSE", 0)


def of(name, scraped):
    return {key[1:]: value for key, value in scraped.items() if key[0] == name}


def test_decisions_are_counted_by_throttle_and_outcome(store):
    limiter, posts = Limiter("mails", "2/min", backend=store), Limiter("posts", "1/min", backend=store)
    with exporting() as exported:
        for _ in range(3):
            limiter.sync.hit("ada")
        limiter.sync.refund("ada", 1)
        hit_all_sync("ada", limiter, posts)
        scraped = exported.scrape()
    assert of("traffik_decisions_total", scraped) == {
        ("admitted", "mails"): 3,
        ("refused", "mails"): 1,
        ("refunded", "mails"): 1,
        ("admitted", "posts"): 1,
    }


def test_degraded_decisions_are_counted_by_reason(clock):
    store = RecordingBackend(clock=clock)
    store.answers = [Decision(False, 2, 0, 1, degraded=reason) for reason in (UNAVAILABLE, "my own words")]
    with exporting() as exported:
        for _ in range(2):
            Limiter("mails", "2/min", backend=store).sync.hit("ada")
        scraped = exported.scrape()
    assert of("traffik_decisions_degraded_total", scraped) == {("unavailable", "mails"): 1, ("other", "mails"): 1}
    assert of("traffik_decisions_total", scraped) == {("unavailable", "mails"): 1, ("refused", "mails"): 1}


def test_only_the_limits_that_match_are_counted(store):
    with exporting(limit="api:*") as exported:
        for uid in ("api:mails", "mails"):
            Limiter(uid, "2/min", backend=store).sync.hit("ada")
        scraped = exported.scrape()
    assert of("traffik_decisions_total", scraped) == {("admitted", "api:mails"): 1}


def test_limits_beyond_the_maximum_are_counted_together(store):
    with exporting(most=2) as exported:
        for number in range(5):
            Limiter(f"mails:{number}", "2/min", backend=store).sync.hit("ada")
        scraped = exported.scrape()
    assert of("traffik_decisions_total", scraped) == {
        ("admitted", "mails:0"): 1,
        ("admitted", "mails:1"): 1,
        ("admitted", "other"): 3,
    }


def test_no_label_holds_a_key_of_a_client(store, every_sample):
    with exporting() as exported:
        Limiter("mails", "2/min", backend=store).sync.hit("secret-client")
        families = exported.families()
    labels = {label for family in families for sample in family.samples for label in sample.labels.items()}
    values = {value for name, value in labels if name != "le"}
    assert values == {"traffik", "", "mails", "admitted", "memory", "dropped", "error"}


def test_calls_to_a_store_are_timed(store, every_sample):
    limiter, posts = Limiter("mails", "2/min", backend=store), Limiter("posts", "1/min", backend=store)
    with exporting() as exported:
        limiter.sync.hit("ada")
        asyncio.run(limiter.hit("ada"))
        hit_all_sync("bob", limiter, posts)
        scraped = exported.scrape()
    assert scraped["traffik_store_duration_seconds_count", "memory"] == 3
    assert 0 < scraped["traffik_store_duration_seconds_sum", "memory"] < 10


def test_of_all_the_calls_to_a_store_at_most_twenty_a_second_are_timed(store):
    samples = []

    def note(store, kind, value):
        samples.append((kind, value))

    limiters = [Limiter(f"mails:{number}", "1000000/min", backend=store) for number in range(3)]
    probes.sample_stores(note)
    try:
        for _ in range(300):
            for limiter in limiters:
                limiter.sync.hit("ada")
    finally:
        probes.stop_sampling(note)
    assert samples == [("duration", value) for _, value in samples]
    assert len(samples) == 2


def test_a_store_that_is_made_later_is_timed(clock, every_sample):
    with exporting() as exported:
        Limiter("mails", "2/min", backend=InMemoryBackend(clock=clock)).sync.hit("ada")
        assert exported.scrape()["traffik_store_duration_seconds_count", "memory"] == 1


def test_lost_events_are_counted(store):
    before = lost["error"]
    with exporting() as exported, subscribe(lambda event: 1 / 0) as subscription:
        Limiter("mails", "2/min", backend=store).sync.hit("ada")
        subscription.flush()
        scraped = exported.scrape()
    assert scraped["traffik_events_lost_total", "error"] == before + 1


def test_after_the_end_nothing_is_counted(store):
    limiter = Limiter("mails", "2/min", backend=store)
    with exporting() as exported:
        limiter.sync.hit("ada")
        exported.metrics.close()
        assert of("traffik_decisions_total", exported.scrape()) == {}
    assert (limiter.finish, store.probe) == (None, None)


def test_a_bad_argument_is_an_error():
    with pytest.raises(ValueError, match="most is an integer from 1, not 0"), exporting(most=0):
        pass


def test_lmdb_is_timed_and_has_a_breaker(tmp_path, every_sample):
    with LMDBBackend(tmp_path) as store, exporting() as exported:
        Limiter("mails", "2/min", backend=store).sync.hit("ada")
        scraped = exported.scrape()
    assert scraped["traffik_store_duration_seconds_count", "lmdb"] == 1
    assert scraped["traffik_store_breaker_open", "lmdb"] == 0


def test_calls_are_timed_again_after_the_samples_are_exported(store):
    limiter = Limiter("mails", "1000000/min", backend=store)
    with exporting() as exported:
        for _ in range(3):
            for _ in range(25):
                limiter.sync.hit("ada")
            exported.metrics.flush(10)
        assert exported.scrape()["traffik_store_duration_seconds_count", "memory"] == 6


def test_a_missing_opentelemetry_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "traffik.events.otel")
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    with pytest.raises(ImportError, match=r"pip install 'traffik-core\[otel\]'"):
        importlib.import_module("traffik.events.otel")


def test_of_several_calls_at_once_one_is_timed(store):
    samples = []

    def note(store, kind, value):
        samples.append(kind)

    probes.sample_stores(note)
    try:
        assert [store.probe.call(len, "ab") for _ in range(3)] == [2] * 3
    finally:
        probes.stop_sampling(note)
    assert samples == ["duration"]
