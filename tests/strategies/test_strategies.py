"""Each strategy against its slow, exact model, and the properties that all strategies share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.walks import START, Key, every_strategy, keys, model, rates, steps
from traffik import FixedWindow, Rate, SlidingCounter, SlidingLog, SlidingWindow, TokenBucket
from traffik.testing import StrategyContract


@every_strategy
@given(data=st.data())
def test_decides_as_its_model(strategy, data):
    rate = data.draw(rates(strategy))
    key, exact = Key(strategy.prepare(rate), START + data.draw(st.integers(0, rate.period))), model(strategy, rate)
    for pause, cost in data.draw(steps(strategy, rate)):
        key.now += pause
        if data.draw(st.booleans()):
            key.forget_if_lapsed()
        assert key.hit(cost) == exact.hit(cost, key.now)


@every_strategy
@given(data=st.data())
def test_the_wait_is_exact_for_every_cost(strategy, data):
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    cost = data.draw(st.integers(1, strategy.capacity(rate)))
    wait = key.ask(cost).retry_after
    assert key.ask(cost, key.now + wait).allowed
    assert wait == 0 or not key.ask(cost, key.now + wait - 1).allowed


@every_strategy
@given(data=st.data())
def test_a_refused_hit_changes_nothing(strategy, data):
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    cost = data.draw(st.integers(1, strategy.capacity(rate) + 1))
    decision, changed, ttl = key.kernel(key.state, cost, key.now)
    assert decision.allowed or (changed, ttl) == (None, 0)


@every_strategy
@given(data=st.data())
def test_the_ttl_of_a_state_is_exact(strategy, data):
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    fresh = key.kernel(None, 0, key.now)[0]
    assert key.ask(0, key.lapses) == fresh
    assert key.state is None or key.ask(0, key.lapses - 1) != fresh


@every_strategy
@given(data=st.data())
def test_an_expired_state_decides_like_none(strategy, data):
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    later = key.lapses + data.draw(st.integers(0, 3 * rate.period))
    cost = data.draw(st.integers(0, strategy.capacity(rate) + 1))
    assert key.ask(cost, later) == key.kernel(None, cost, later)[0]


@every_strategy
@given(data=st.data())
def test_every_number_is_exact_in_a_double(strategy, data):
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    assert all(abs(number) < 2**53 for number in flat(key.state or ()))


@every_strategy
def test_a_limit_of_0_admits_nothing(strategy):
    assert strategy.prepare(Rate(0, 1000))(None, 1, START)[0].never
    assert strategy.capacity(Rate(0, 1000)) == 0


@every_strategy
def test_decide_equals_the_prepared_kernel(strategy):
    rate = Rate(5, 1000)
    assert strategy.decide(None, rate, 2, START) == strategy.prepare(rate)(None, 2, START)


def flat(state):
    for part in state:
        if part is not None:
            yield from flat(part) if isinstance(part, tuple) else (part,)


class TestFixedWindow(StrategyContract):
    strategy = FixedWindow()


class TestSlidingWindow(StrategyContract):
    strategy = SlidingWindow()


class TestSlidingWindowOfFewMoments(StrategyContract):
    strategy = SlidingWindow(resolution=2)


class TestSlidingWindowOfALargeRate(StrategyContract):
    strategy = SlidingWindow()
    rate = Rate.parse("1000003/day")


class TestSlidingCounter(StrategyContract):
    strategy = SlidingCounter()


class TestSlidingCounterInCoarseTicks(StrategyContract):
    strategy = SlidingCounter()
    rate = Rate.parse("1000003/day")


class TestSlidingLog(StrategyContract):
    strategy = SlidingLog()


class TestTokenBucket(StrategyContract):
    strategy = TokenBucket(burst=3)


class TestTokenBucketInCoarseTicks(StrategyContract):
    strategy = TokenBucket()
    rate = Rate.parse("1000003/day")


class TestTokenBucketWithDebt(StrategyContract):
    strategy = TokenBucket(debt=3)
