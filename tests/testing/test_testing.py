"""The tools for tests. The contract tests of strategies find broken strategies."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta

import pytest

from traffik import Decision, FixedWindow, Transition
from traffik.testing import StrategyContract, VirtualClock


def test_a_clock_stands_still_until_it_is_moved():
    clock = VirtualClock(5)
    assert (clock.now, clock(), clock()) == (5, 5000, 5000)


@pytest.mark.parametrize(
    ("span", "micros"),
    [
        ({"seconds": 1.5}, 1_500_000),
        ({"milliseconds": 2}, 2000),
        ({"microseconds": 3}, 3),
        ({"seconds": 1, "milliseconds": 1, "microseconds": 1}, 1_001_001),
    ],
)
def test_a_clock_moves_forward_and_back_by_any_unit(span, micros):
    clock = VirtualClock(0)
    clock.advance(**span)
    assert clock.now == micros
    clock.rewind(**span)
    assert clock.now == 0


def test_a_number_without_a_unit_is_an_error_that_shows_one():
    with pytest.raises(TypeError, match=r"as in seconds=60"):
        VirtualClock().advance(60)


def test_a_clock_takes_a_timedelta_and_can_be_set():
    clock = VirtualClock()
    clock.now = 0
    clock.advance(timedelta(minutes=1))
    assert repr(clock) == "<VirtualClock now=60000000 µs>"


def test_the_clock_alone_imports_neither_pytest_nor_hypothesis():
    program = "import sys; from traffik.testing import VirtualClock; print({'pytest', 'hypothesis'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "set()"


@dataclass(frozen=True)
class Broken(FixedWindow):
    """A fixed window with one mistake."""

    part: str = ""

    def decide(self, state, rate, cost, now):
        decision, changed, ttl = super().decide(state, rate, cost, now)
        spoilt = {
            "wait": (decision._replace(retry_after=max(0, decision.retry_after - 1)), changed, ttl),
            "remaining": (decision._replace(remaining=min(5, decision.remaining + 1)), changed, ttl),
            "ttl": (decision, changed, ttl - 1),
            "refused": (decision, changed or (rate.period, now, 0), ttl),
            "reset": (decision._replace(reset_after=decision.reset_after // 2), changed, ttl),
        }
        return Transition(*spoilt[self.part])


class Impure:
    """A strategy that refuses every second hit, and so depends on more than its arguments."""

    asked = 0

    def decide(self, state, rate, cost, now):
        self.asked += 1
        return Transition(Decision(bool(self.asked % 2), 5, 5), None, 0)


@dataclass(frozen=True)
class Unsettled(FixedWindow):
    """A fixed window that settles wrongly in one way."""

    part: str = ""

    def settle(self, state, rate, delta, receipt, now):
        settled = super().settle(state, rate, delta, receipt, now)
        start, count = (now, 0) if state is None else state[1:]
        spoilt = {
            "generous": settled._replace(state=(rate.period, start, max(-5, count + 2 * delta)), ttl=rate.period),
            "fresh": settled._replace(applied=delta - 1),
            "unbounded": settled._replace(state=(rate.period, start, count + delta), ttl=rate.period, applied=delta),
            "silent": settled._replace(decision=settled.decision._replace(remaining=0)),
        }
        return spoilt[self.part]


FOUND = {
    "wait": StrategyContract.test_the_wait_is_exact,
    "remaining": StrategyContract.test_what_remains_is_the_largest_cost_that_is_admitted,
    "ttl": StrategyContract.test_a_state_means_nothing_once_its_ttl_has_passed,
    "refused": StrategyContract.test_a_refused_hit_leaves_no_state,
    "reset": StrategyContract.test_the_quota_is_whole_again_when_it_says_so,
}


@pytest.mark.parametrize(("part", "contract"), FOUND.items(), ids=FOUND)
def test_the_contract_of_strategies_finds_a_broken_strategy(part, contract):
    broken = type("Contract", (StrategyContract,), {"strategy": Broken(part)})()
    with pytest.raises(AssertionError):
        contract(broken)


MISSETTLED = {
    "generous": StrategyContract.test_units_given_back_leave_no_more_quota_than_if_they_had_not_been_taken,
    "fresh": StrategyContract.test_a_refund_without_a_receipt_leaves_no_more_than_the_whole_quota,
    "unbounded": StrategyContract.test_a_charge_in_any_case_is_bounded_and_wears_off,
    "silent": StrategyContract.test_what_is_settled_says_what_remains_and_changes_no_argument,
}


@pytest.mark.parametrize(("part", "contract"), MISSETTLED.items(), ids=MISSETTLED)
def test_the_contract_of_strategies_finds_one_that_settles_wrongly(part, contract):
    broken = type("Contract", (StrategyContract,), {"strategy": Unsettled(part)})()
    with pytest.raises(AssertionError):
        contract(broken)
    contract(type("Contract", (StrategyContract,), {"strategy": FixedWindow()})())


def test_the_contract_of_strategies_finds_an_impure_one():
    broken = type("Contract", (StrategyContract,), {"strategy": Impure()})()
    with pytest.raises(AssertionError):
        broken.test_the_same_arguments_give_the_same_answer()
