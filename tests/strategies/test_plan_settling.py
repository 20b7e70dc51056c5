"""Plans: settling of several rates, taking up to a number of units, and foreseen waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.walks import START, Key, every_strategy, keys, small_rates
from traffik import NEVER, ConfigurationError, Decision, FixedWindow, Rate, SlidingWindow, Transition
from traffik.model.decisions import ADMITTED
from traffik.strategies import Settled, Settling, plan, probe
from traffik.strategies.base import EXACT, UNCHANGED, Settler
from traffik.strategies.settling import earliest_of, prepare_settling, settle_parts, settle_place
from traffik.strategies.turns import Turns

PAIR = [Rate(3, 1000), Rate(5, 10_000)]
costs = st.lists(st.integers(1, 14), max_size=6)


class Total:
    """A user's strategy that counts, never forgets, and settles."""

    def decide(self, state, rate, cost, now):
        used = (state or (0,))[0] + cost
        return Transition(Decision(used <= rate.limit, rate.limit, max(0, rate.limit - used)), (used,), rate.period)

    def receipt(self, before, after, rate):
        return ((before or (0,))[0], after[0])

    def settle(self, state, rate, delta, receipt, now):
        used = max(0, state[0] + delta if state else delta)
        return Settled(Decision(True, rate.limit, rate.limit - used), (used,), rate.period, delta)


class Plain:
    """A user's strategy that only decides."""

    def decide(self, state, rate, cost, now):
        return Transition(Decision(True, rate.limit, 0), None, 0)


class Kinder(SlidingWindow):
    """A user's subclass of our strategy that overrides `decide`."""

    __slots__ = ()

    def decide(self, state, rate, cost, now):
        return SlidingWindow.decide(self, state, Rate(rate.limit + 1, rate.period), cost, now)


class KinderAhead(SlidingWindow):
    """A user's subclass of our strategy that overrides `prepare`."""

    __slots__ = ()

    def prepare(self, rate):
        return SlidingWindow.prepare(self, Rate(rate.limit + 1, rate.period))


class Stubborn(SlidingWindow):
    """A user's subclass of our strategy with its own receipt, and a `settle` that does nothing."""

    __slots__ = ()

    def receipt(self, before, after, rate):
        return before[3], after[3], rate.limit

    def settle(self, state, rate, delta, receipt, now):
        return Settled(Decision(True, rate.limit, 0), None, 0, 0)


class Forgetful(Total):
    """A user's strategy that settles and keeps no state."""

    receipt, settle = Total.receipt, Total.settle

    def decide(self, state, rate, cost, now):
        return Transition(Decision(True, rate.limit, 0), None, 0)


def test_a_hit_that_left_no_state_has_no_receipt():
    made = plan(Forgetful(), PAIR)
    assert made.receipt(None, made.kernel(None, 1, START)[1]) == ((), ())


@every_strategy
def test_every_strategy_of_ours_can_settle(strategy):
    assert isinstance(strategy, Settling)
    assert plan(strategy, PAIR).settles


@pytest.mark.parametrize("strategy", [Plain(), Kinder(), KinderAhead()], ids=lambda each: type(each).__name__)
def test_a_subclass_that_overrides_decide_without_settle_cannot_settle(strategy):
    made = plan(strategy, PAIR)
    assert not made.settles
    with pytest.raises(ConfigurationError, match="add the methods receipt and settle"):
        made.settle(None, 1, None, START)
    with pytest.raises(ConfigurationError, match=type(strategy).__name__):
        made.receipt(None, (1,))


def overriding(*names):
    """A subclass of our strategy that overrides some of the methods with those of `Stubborn`."""
    return type("Overriding", (SlidingWindow,), {"__slots__": (), **{name: vars(Stubborn)[name] for name in names}})


@pytest.mark.parametrize("strategy", [Stubborn(), overriding("settle")()], ids=["both", "settle"])
def test_a_settle_that_a_subclass_overrides_is_called(strategy):
    assert plan(strategy, PAIR[:1]).settle(None, 3, None, START).applied == 0


def test_a_settler_is_prepared_once():
    class Preparing(SlidingWindow):
        __slots__ = ()

        def settler(self, rate):
            prepared.append(rate)
            return SlidingWindow.settler(self, rate)

    prepared = []
    made = plan(Preparing(), PAIR)
    for _ in range(2):
        made.settle(None, 1, None, START)
    assert prepared == PAIR


def test_a_settle_that_a_subclass_overrides_gets_the_state_and_the_receipt(monkeypatch):
    noted = []
    monkeypatch.setattr(Stubborn, "settle", lambda _, *given: noted.append(given) or Settled(None, None, 0, 0))
    settler = prepare_settling(Stubborn(), PAIR[0], ahead=False)
    assert settler.settle((1,), -2, (7,), START) == UNCHANGED
    assert noted == [((1,), PAIR[0], -2, (7,), START)]


@pytest.mark.parametrize("strategy", [Stubborn(), overriding("receipt")()], ids=["both", "receipt"])
def test_a_receipt_that_a_subclass_overrides_is_made_of_both_states_and_the_rate(strategy):
    made = plan(strategy, PAIR[:1])
    _, before, _ = made.kernel(None, 1, START)
    _, after, _ = made.kernel(before, 2, START)
    assert made.receipt(before, after) == ((before[3], after[3], PAIR[0].limit),) == ((1, 3, 3),)


def test_nothing_is_settled_by_a_rate_that_did_not_count_the_hit():
    untouched = Settler(None, None)
    for receipts in ([], [()]):
        assert {settle_place(untouched, (1,), delta, receipts, 0, START) for delta in (0, -3)} == {UNCHANGED}


@pytest.mark.parametrize(("delta", "receipt"), [(-1, (7,)), (1, (7,)), (1, ())])
def test_a_rate_is_settled_by_its_own_receipt(delta, receipt):
    settler = Settler(None, lambda *given: given)
    assert settle_place(settler, (1,), delta, [(5,), receipt], 1, START) == ((1,), delta, receipt, START)


def test_an_admission_from_the_year_2255_on_is_never():
    def kernel(state, cost, now):
        return Decision(now >= EXACT, 1, 0, retry_after=max(0, EXACT - now)), state, 1

    assert earliest_of(kernel, None, [1], START) == (NEVER,)
    assert earliest_of(kernel, None, [1], EXACT) == (0,)


@pytest.mark.parametrize("rates", [PAIR[:1], PAIR], ids=["one rate", "two rates"])
def test_a_users_strategy_may_settle(rates):
    made = plan(Total(), rates)
    _, state, _ = made.kernel(None, 3, START)
    assert made.receipt(None, state) == ((0, 3),) * len(rates)
    settled = made.settle(state, -2, made.receipt(None, state), START + 10)
    assert (settled.applied, settled.decision.remaining, settled.ttl) == (-2, 2, max(rate.period for rate in rates))


def test_a_state_settled_by_a_users_strategy_expires_after_its_ttl():
    made = plan(Total(), PAIR[:1])
    state = made.settle(None, 3, None, START).state
    assert not made.kernel(state, 1, START + 999)[0].allowed
    assert made.kernel(state, 1, START + 1000)[0].allowed


def test_each_rate_gives_back_by_its_own_receipt():
    made = plan(FixedWindow(), PAIR)
    _, state, _ = made.kernel(None, 3, START)
    receipts = made.receipt(None, state)
    settled = made.settle(state, -2, receipts, START + 10)
    assert [part[2] for part in settled.state[2:]] == [1, 1]
    assert (settled.applied, settled.decision.remaining, settled.ttl) == (-2, 2, 9990)


@pytest.mark.parametrize("receipts", [[], [()], [(START - 5,)]])
def test_one_rate_gives_nothing_back_by_the_receipt_of_another_window(receipts):
    made = plan(FixedWindow(), PAIR[:1])
    _, state, _ = made.kernel(None, 3, START)
    assert made.settle(state, -2, receipts, START).applied == 0


def test_a_rate_whose_window_has_ended_does_not_affect_the_others():
    made = plan(FixedWindow(), PAIR)
    _, state, _ = made.kernel(None, 3, START)
    settled = made.settle(state, -2, made.receipt(None, state), START + 1000)
    assert (settled.applied, settled.decision.remaining, settled.state[2]) == (0, 3, state[2])
    assert settled.state[3][2] == 1


def test_a_rate_that_did_not_count_the_hit_gives_nothing_back():
    one, two = plan(FixedWindow(), PAIR[:1], varying=True), plan(FixedWindow(), PAIR, varying=True)
    _, state, _ = one.kernel(None, 3, START)
    receipts = one.receipt(None, state)
    _, state, _ = two.kernel(None, 3, START)
    settled = two.settle(state, -2, receipts, START)
    assert [part[2] for part in settled.state[2:]] == [1, 3]
    assert [part[2] for part in two.settle(state, 1, receipts, START).state[2:]] == [4, 4]


def test_the_state_of_other_rates_is_kept():
    one, two = plan(FixedWindow(), PAIR[:1], varying=True), plan(FixedWindow(), PAIR, varying=True)
    _, state, _ = two.kernel(None, 3, START)
    assert one.settle(state, -1, None, START).state[1] == ((str(PAIR[1]), START + PAIR[1].period, state[3]),)


def test_charging_in_any_case_charges_all_rates():
    settled = plan(FixedWindow(), PAIR).settle(None, 7, None, START)
    assert [part[2] for part in settled.state[2:]] == [6, 7]
    assert (settled.applied, settled.decision.retry_after) == (6, 10_000)


def test_without_rates_nothing_is_settled():
    settled = plan(SlidingWindow(), []).settle(None, -3, None, START)
    assert settled == Settled(ADMITTED, None, 0, -3)


@every_strategy
@given(data=st.data())
def test_the_decision_after_settling_equals_a_probe(strategy, data):
    made = plan(strategy, data.draw(st.lists(small_rates, min_size=1, max_size=3, unique=True)), varying=True)
    _, state, _ = made.kernel(None, data.draw(st.integers(1, made.capacity)), START)
    delta, now = data.draw(st.integers(-20, 20)), START + data.draw(st.integers(0, 60))
    settled = made.settle(state, delta, made.receipt(None, state), now)
    assert settled.decision == probe(made.kernel, settled.state or state, now)._replace(allowed=True)


@every_strategy
@given(data=st.data())
def test_as_many_units_are_taken_as_remain(strategy, data):
    rate = data.draw(small_rates)
    key = data.draw(keys(strategy, rate))
    cost = data.draw(st.integers(1, 20))
    left = key.ask(0).remaining
    decision, state, ttl, granted = plan(strategy, [rate]).take_up_to(key.state, cost, key.now)
    assert granted == min(cost, left)
    assert (decision, state, ttl) == key.kernel(key.state, max(1, granted), key.now)


def test_if_a_strategy_does_not_know_the_remaining_quota_one_unit_is_tried():
    assert plan(Plain(), PAIR[:1]).take_up_to(None, 7, START)[3] == 1


@every_strategy
@given(data=st.data())
def test_foreseen_costs_are_admitted_at_their_waits_and_not_earlier(strategy, data):
    rate = data.draw(small_rates)
    key = data.draw(keys(strategy, rate))
    start, wanted = key.now, data.draw(costs)
    for cost, wait in zip(wanted, plan(strategy, [rate]).earliest(key.state, wanted, start), strict=True):
        if wait == NEVER:
            assert cost > strategy.capacity(rate)
            continue
        assert wait <= key.now - start or not key.ask(cost, start + wait - 1).allowed
        key.now = start + wait
        assert key.hit(cost).allowed


def test_foreseen_waits_are_exact_for_several_rates():
    assert plan(FixedWindow(), PAIR).earliest(None, [3, 1, 1, 9, 1], START) == (0, 1000, 1000, NEVER, 10_000)


def test_foreseen_waits_are_exact_after_the_clock_has_gone_far_back():
    key = Key(plan(SlidingWindow(), PAIR).kernel)
    key.hit(3)
    assert plan(SlidingWindow(), PAIR).earliest(key.state, [1, 3], START - 10**9) == (1000, 11_000)


class Recording:
    """A strategy of a user, without `prepare`, that remembers how it was called."""

    result = (3,)

    def receipt(self, before, after, rate):
        return before[0] if before else 0, after[0], rate.limit

    def settle(self, state, rate, delta, receipt, now):
        self.called = state, rate, delta, receipt, now
        return Settled(Decision(allowed=True, limit=1, remaining=0), self.result, 5, delta)


class TestAStrategyWithoutPrepare:
    rate = Rate(7, 1_000_000)

    def test_gets_its_own_states_for_a_receipt(self):
        settler = prepare_settling(Recording(), self.rate, ahead=True)
        assert settler.receipt((90, (1,)), (99, (2,))) == (1, 2, 7)
        assert settler.receipt(None, (99, (2,))) == (0, 2, 7)

    def test_gets_its_own_state_until_it_expires(self):
        recording = Recording()
        settler = prepare_settling(recording, self.rate, ahead=True)
        assert settler.settle((100, (1,)), -1, (8,), 99) == ((104, (3,)), 5, -1)
        assert recording.called == ((1,), self.rate, -1, (8,), 99)
        recording.result = None
        assert settler.settle((100, (1,)), -1, None, 100) == (None, 5, -1)
        assert recording.called == (None, self.rate, -1, None, 100)


def kernel_that_resets(state, cost, now):
    return Decision(allowed=True, limit=1, remaining=0, reset_after=state[0] - now + cost), None, 0


def test_settled_parts_live_as_long_as_the_longest_of_them():
    changing = Settler(lambda *_: (), lambda *_: ((1,), 10, -1))
    keeping = Settler(lambda *_: (), lambda *_: UNCHANGED)
    turns, kernels = Turns(PAIR, None), [kernel_that_resets] * 2
    state, after = ((turns.text, (), (old,), (90,)) for old in (70, 1))
    assert settle_parts(kernels, [changing, keeping], turns, state, -1, None, 60) == (after, 30, 0)
    assert settle_parts(kernels, [changing, keeping], turns, state, -1, None, 85) == (after, 10, 0)
    assert settle_parts(kernels, [keeping, keeping], turns, state, -1, None, 60) == UNCHANGED
