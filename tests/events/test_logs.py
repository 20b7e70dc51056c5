"""Events as log records."""

import logging

import pytest

from tests.recording import RecordingBackend
from traffik import NEVER, Decision, EventLog, Limiter, subscribe
from traffik.model.decisions import UNAVAILABLE


@pytest.fixture
def limiter(store):
    return Limiter("mails", "1/min", backend=store)


def test_refusals_are_logged_with_extra_fields(limiter, caplog):
    caplog.set_level(logging.INFO, "traffik.decisions")
    with subscribe(EventLog(), outcomes=["refused"]):
        limiter.sync.hit("ada")
        limiter.sync.hit("ada")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("traffik.decisions", "INFO")
    assert record.getMessage() == "mails: refused hit of cost 1, 0 left, wait 60.0 s"
    assert (record.traffik_uid, record.traffik_outcome, record.traffik_wait_us) == ("mails", "refused", 60_000_000)


def test_logger_level_and_outcomes_can_be_chosen(limiter, caplog):
    caplog.set_level(logging.DEBUG, "shop")
    with subscribe(EventLog(logging.getLogger("shop"), level=logging.DEBUG), outcomes=["admitted"]):
        limiter.sync.hit("ada")
        limiter.sync.hit("ada")
    assert [(r.name, r.levelname, r.traffik_outcome) for r in caplog.records] == [("shop", "DEBUG", "admitted")]


def test_a_store_that_does_not_answer_is_a_warning(clock, caplog):
    store = RecordingBackend(clock=clock)
    store.answers = [Decision(False, 2, 0, NEVER, 1, degraded=UNAVAILABLE)]
    with subscribe(EventLog()):
        Limiter("mails", "2/min", backend=store).sync.hit("ada")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == "mails: unavailable hit of cost 1, 0 left, never admitted"


def test_an_event_of_a_shadow_says_so(store, caplog):
    caplog.set_level(logging.INFO, "traffik.decisions")
    with subscribe(EventLog()):
        Limiter("tried", "1/min", shadow=True, backend=store).sync.hit("ada")
    assert caplog.messages[-1].endswith(", on trial")
