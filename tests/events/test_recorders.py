"""A recorder passes each decision to those that want it, and counts hits in every tally."""

import pytest

from traffik.events.recorders import Tally, Watch, recorder_for
from traffik.events.records import HIT, REFUND
from traffik.model.decisions import ADMITTED, REFUSED, Decision

YES, NO = Decision(True, 2, 1), Decision(False, 2, 0, 60)


@pytest.fixture
def heard():
    return []


@pytest.fixture
def hear(heard):
    """Makes functions that note under a name what they are called with."""
    return lambda name: lambda decision, key, cost, action: heard.append((name, decision, key, cost, action))


def test_without_a_watch_there_is_no_recorder():
    assert recorder_for([]) is None


def test_hits_go_to_what_wants_them_and_all_else_is_noted(hear, heard):
    recorder = recorder_for([Watch(hear("other"), hear("admitted"), hear("refused"))])
    degraded = YES._replace(degraded="fallback")
    for decision in (YES, NO, degraded, ADMITTED, REFUSED):
        assert recorder.hit(decision, "ada", 1, HIT) is decision
    others = [("other", decision) for decision in (degraded, ADMITTED, REFUSED)]
    assert [each[:2] for each in heard] == [("admitted", YES), ("refused", NO), *others]


def test_decisions_of_all_kinds_may_be_recorded(hear, heard):
    recorder = recorder_for([Watch(hear("other"), hear("admitted"), hear("refused"))])
    recorder.record(NO, "ada", 1, HIT)
    recorder.record(YES, "bob", 2, REFUND)
    assert heard == [("refused", NO, "ada", 1, HIT), ("other", YES, "bob", 2, REFUND)]


def test_one_that_does_not_want_admitted_hits_is_not_called_for_them(hear, heard):
    recorder = recorder_for([Watch(hear("one"), None, hear("one")), Watch(hear("two"), hear("two"))])
    recorder.hit(YES, "ada", 1, HIT)
    recorder.hit(NO, "ada", 1, HIT)
    assert [each[:2] for each in heard] == [("two", YES), ("one", NO)]


def test_hits_are_counted_in_every_tally_that_is_asked_for(hear):
    tallies = [Tally(), Tally()]
    recorder = recorder_for([Watch(hear(""), tally=lambda tally=tally: tally) for tally in tallies])
    for decision in (YES, YES, NO):
        recorder.hit(decision, "ada", 1, HIT)
    assert [tally.counts[:2] for tally in tallies] == [[2, 1], [2, 1]]


def test_a_tally_is_asked_for_when_there_is_something_to_count(hear):
    asked = []
    recorder = recorder_for([Watch(hear(""), tally=lambda: asked.append(1) or Tally())])
    assert asked == []
    recorder.hit(YES, "ada", 1, HIT)
    recorder.hit(YES, "ada", 1, HIT)
    assert asked == [1]
