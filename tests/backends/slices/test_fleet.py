"""A fleet that spends slices never exceeds the limit, and leaves at most a slice a process unspent."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.backends.slices.fleets import LIFE, SHARE, Fleet
from traffik import GCRA, FixedWindow, Rate, SlidingCounter, SlidingLog, SlidingWindow, TokenBucket

LIMIT, PERIOD = 400, 1_000_000
PROCESSES = 3
SLICE = int(LIMIT * SHARE)
STRATEGIES = [SlidingWindow(), SlidingLog(), FixedWindow(), SlidingCounter(), TokenBucket(), GCRA(burst=200)]
numbers = st.integers(0, PROCESSES - 1)
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: type(each).__name__)


class Machine(RuleBasedStateMachine):
    """What may happen to a fleet."""

    strategy = STRATEGIES[0]

    def __init__(self):
        super().__init__()
        self.fleet = Fleet(self.strategy, Rate(LIMIT, PERIOD), PROCESSES)
        self.killed = []

    @rule(number=numbers, hits=st.integers(1, 80), cost=st.sampled_from((1, 1, 1, 3)))
    def hit(self, number, hits, cost):
        for _ in range(hits):
            self.fleet.hit(number, cost)

    @rule(millis=st.integers(1, 99) | st.sampled_from((1, 100, 899, 900, 999, 1000, 1100)), micros=st.integers(-1, 1))
    def advance(self, millis, micros):
        self.fleet.clock.advance(seconds=(millis * 1000 + micros) / 1e6)

    @rule(number=numbers)
    def hit_until_refused(self, number):
        exhaust(self.fleet, number)

    @rule(number=numbers)
    def kill(self, number):
        self.fleet.kill(number)
        self.killed.append(self.fleet.now)

    @rule(number=numbers)
    def close(self, number):
        self.fleet.processes[number].backend.close_sync()

    @rule(number=numbers, cut=st.booleans())
    def cut_off(self, number, cut):
        self.fleet.processes[number].link.cut = cut

    @rule(number=numbers, millis=st.integers(0, 500))
    def suspend(self, number, millis):
        self.fleet.processes[number].skew += millis * 1_000_000

    @rule(millis=st.integers(1, 3000))
    def set_back_the_clock_of_the_store(self, millis):
        self.fleet.behind += millis * 1_000_000

    @invariant()
    def no_more_than_the_limit(self):
        assert follows(self.strategy, self.fleet)


def exhaust(fleet, number):
    """Hit until refused; what the process admits meanwhile."""
    return sum(1 for _ in iter(lambda: fleet.hit(number), False))


def follows(strategy, fleet):
    """Whether the units were spent as the strategy promises."""
    if isinstance(strategy, SlidingWindow | SlidingLog):
        return fleet.most_in(PERIOD) <= LIMIT
    if isinstance(strategy, FixedWindow | SlidingCounter):
        return fleet.most_in(PERIOD) <= 2 * LIMIT - 1
    return admits_all(strategy, fleet)


@every_strategy
def test_no_process_ever_spends_what_another_one_has_spent(strategy):
    machine = type(f"Machine{type(strategy).__name__}", (Machine,), {"strategy": strategy})
    run_state_machine_as_test(machine, settings=settings(max_examples=10, stateful_step_count=15, deadline=None))


@every_strategy
@pytest.mark.parametrize("used", [False, True], ids=["quiet", "used"])
@pytest.mark.parametrize("pause", [0.001, 0.098])
def test_units_spent_late_are_not_available_again_too_soon(strategy, pause, used):
    for begin in (0, 0.901, 0.94, 0.999):
        fleet = Fleet(strategy, Rate(LIMIT, PERIOD), PROCESSES)
        fleet.hit(1)  # a window opens
        fleet.clock.advance(seconds=begin)
        for _ in range(7):
            fleet.hit(0)  # its slices have units left
        spend_late(fleet, pause, used)
        assert admits_all(strategy, fleet), begin


def spend_late(fleet, pause, used):
    if used:
        exhaust(fleet, 1)
    fleet.clock.advance(seconds=pause)
    for number in (0, 1):
        exhaust(fleet, number)
    for _ in range(24):
        fleet.clock.advance(seconds=0.05)
        exhaust(fleet, 1)


def admits_all(strategy, fleet):
    """Whether the strategy itself admits each unit when it is spent."""
    exact = SlidingLog() if isinstance(strategy, SlidingWindow) else strategy
    kernel, state = exact.prepare(fleet.rate), None
    for time, cost in fleet.spent:
        decision, state, _ = kernel(state, cost, time)
        if not decision.allowed:
            return False
    return True


@pytest.mark.parametrize("deaths", [0, 1, 3])
@every_strategy
def test_a_fleet_leaves_at_most_a_slice_a_process_unspent(strategy, deaths):
    fleet = Fleet(strategy, Rate(LIMIT, PERIOD), PROCESSES)
    for number in range(PROCESSES):
        for _ in range(20):
            fleet.hit(number)
    for number in range(deaths):
        fleet.kill(number)
    for number in range(PROCESSES):
        exhaust(fleet, number)
    capacity = strategy.capacity(fleet.rate)
    kept = -(-LIMIT * LIFE // 1) if isinstance(strategy, TokenBucket | GCRA) else 0
    assert capacity - PROCESSES * SLICE - kept <= sum(cost for _, cost in fleet.spent) <= capacity
