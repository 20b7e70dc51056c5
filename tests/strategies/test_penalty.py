"""`Penalty`: bans grow, are forgotten, and are lifted if the units that started them are given back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import NEVER, ConfigurationError, Limiter, Penalty, Rate
from traffik.strategies import plan, probe
from traffik.testing import StrategyContract

SECOND = 1_000_000
RATE = Rate(3, 10 * SECOND)
BANS = Penalty(base="10s", factor=3, longest="60s", forget="100s")


class TestContract(StrategyContract):
    strategy = BANS
    rate = RATE


class TestContractOfShortBans(StrategyContract):
    strategy = Penalty(base="1s", longest="2s", forget="1s")
    rate = RATE


class Key:
    """A key of a plan, and its clock in seconds."""

    def __init__(self, strategy=BANS, rate=RATE):
        self.plan, self.state, self.now = plan(strategy, [rate]), None, 1_700_000_000 * SECOND
        self.receipts = []

    def hit(self, cost=1):
        decision, changed, _ = self.plan.kernel(self.state, cost, self.now)
        if decision.allowed:
            self.receipts.append(self.plan.receipt(self.state, changed))
        self.state = self.state if changed is None else changed
        return decision

    def ban(self):
        """Use up the window; the seconds of the ban."""
        assert [self.hit().allowed for _ in range(3)] == [True] * 3
        return self.hit().retry_after / SECOND

    def settle(self, delta, receipts):
        settled = self.plan.settle(self.state, delta, receipts, self.now)
        self.state = self.state if settled.state is None else settled.state
        return settled

    def wait(self):
        return probe(self.plan.kernel, self.state, self.now).retry_after / SECOND


def test_each_ban_is_longer_than_the_previous_one_up_to_the_maximum():
    key, bans = Key(), []
    for _ in range(5):
        bans.append(key.ban())
        key.now += int(bans[-1] * SECOND)
    assert bans == [10, 30, 60, 60, 60]


def test_earlier_bans_are_forgotten_after_a_time_without_a_ban():
    key = Key()
    assert key.ban() == 10
    key.now += 110 * SECOND - 1
    assert key.ban() == 30
    key.now += 130 * SECOND
    assert key.ban() == 10


def test_a_refused_hit_does_not_lengthen_a_ban():
    key = Key()
    key.ban()
    key.now += 4 * SECOND
    assert [key.hit().wait_seconds for _ in range(9)] == [6] * 9


def test_units_within_the_limit_start_no_ban():
    key = Key()
    for _ in range(20):
        assert [key.hit().allowed for _ in range(2)] == [True, True]
        key.now += 10 * SECOND


def test_if_the_window_is_still_full_after_the_ban_the_wait_is_longer():
    key = Key(Penalty(base="1s"))
    key.ban()
    assert key.hit().retry_after == 10 * SECOND


def test_by_default_the_first_ban_is_as_long_as_the_period():
    assert Key(Penalty()).ban() == 10
    assert Key(Penalty(longest="5s"), Rate(3, 2 * SECOND)).ban() == 2


@pytest.mark.parametrize("place", range(3))
def test_giving_back_any_unit_that_counted_lifts_the_ban_and_forgets_it(place):
    key = Key()
    key.ban()
    settled = key.settle(-1, key.receipts[place])
    assert (settled.applied, settled.decision.remaining, key.wait()) == (-1, 1, 0)
    assert key.hit().allowed
    assert key.wait() == 10  # not 30


def test_a_unit_that_has_left_the_window_lifts_nothing():
    key = Key(Penalty(base="60s"))
    key.ban()
    key.now += 10 * SECOND
    assert (key.settle(-1, key.receipts[0]).applied, key.wait()) == (0, 50)


def test_a_refund_without_a_receipt_lifts_nothing():
    key = Key()
    key.ban()
    key.settle(-1, None)
    assert key.wait() == 10


def test_units_charged_in_any_case_start_a_ban_that_is_not_lifted():
    key = Key()
    key.hit()
    assert (key.settle(4, None).applied, key.wait()) == (4, 10)
    key.settle(-1, key.receipts[0])
    assert key.wait() == 10
    key.settle(1, None)
    assert key.wait() == 10


def test_a_clock_that_goes_far_back_keeps_the_ban_for_the_longest_time():
    key = Key()
    key.ban()
    key.now -= 86_400 * SECOND
    assert (key.hit().wait_seconds, key.wait()) == (60, 60)
    key.now += 59 * SECOND
    assert key.hit().wait_seconds == 1


def test_a_cost_above_the_limit_is_never_admitted():
    key = Key()
    key.ban()
    assert key.plan.kernel(key.state, 4, key.now)[0].retry_after == NEVER


STEPS = st.lists(
    st.tuples(st.sampled_from(["hit", "hit", "hit", "give back"]), st.integers(1, 3), st.integers(0, 40)), max_size=40
)


class Model:
    """A slow model that computes bans and usage from the whole history each time."""

    def __init__(self):
        self.hits = []

    def free_at(self, now):
        """The units that are free at `now`."""
        bans, until = 0, -1
        for place, (time, _) in enumerate(self.hits):
            if bans and time >= until + 100:
                bans = 0
            if self.used(time, place + 1) >= 3:
                bans, until = bans + 1, time + min(60, 10 * 3**bans)
        return 0 if now < until else 3 - self.used(now, len(self.hits))

    def used(self, now, count):
        return sum(units for time, units in self.hits[:count] if now - 10 < time <= now)


@given(STEPS)
def test_it_decides_as_its_model(steps):
    key, model, start = Key(), Model(), Key().now
    for _, cost, pause in steps:
        now = (key.now - start) // SECOND
        assert key.hit(cost).allowed == (model.free_at(now) >= cost)
        if key.receipts and len(key.receipts) > len(model.hits):
            model.hits.append((now, cost))
        key.now += pause * SECOND


@given(STEPS)
def test_it_is_never_more_generous_than_without_the_units_given_back(steps):
    key, model, start, units = Key(), Model(), Key().now, []
    for act, cost, pause in steps:
        now = (key.now - start) // SECOND
        if act == "hit" and key.hit(cost).allowed:
            model.hits.append((now, cost))
            units.append(cost)
        elif act == "give back" and key.receipts:
            place = cost % len(key.receipts)
            key.settle(-units.pop(place), key.receipts.pop(place))
            model.hits.pop(place)
        assert probe(key.plan.kernel, key.state, key.now).remaining <= model.free_at(now)
        key.now += pause * SECOND


@pytest.mark.anyio
async def test_a_reservation_that_is_released_lifts_the_ban_it_started(store):
    logins = Limiter("logins", "3/10min", strategy=BANS, backend=store)
    await logins.hit("ada", 2)
    async with logins.reserve("ada") as attempt:
        assert not await logins.check("ada")
        await attempt.release()
    assert await logins.check("ada")


@pytest.mark.anyio
async def test_it_has_no_slots(store):
    with pytest.raises(ConfigurationError):
        await Limiter("logins", "3/10min", strategy=BANS, backend=store).slot("ada").__aenter__()


def test_after_a_clock_that_went_far_back_a_short_ban_forgets_no_units():
    key = Key(Penalty(base="1s", longest="2s", forget="1s"))
    key.ban()
    key.now -= 86_400 * SECOND
    decision, state, ttl = key.plan.kernel(key.state, 1, key.now)
    assert (decision.retry_after, ttl) == (10 * SECOND, 10 * SECOND)
    assert key.plan.kernel(state, 1, key.now + ttl - 1)[0].retry_after == 1


def test_settling_another_rate_forgets_no_ban():
    made, now = plan(Penalty(base="10s", forget="7 days"), [RATE, Rate(10, 60 * SECOND)]), 10**15
    before, state, _ = None, *made.kernel(None, 2, now)[1:]
    before, (_, state, _) = state, made.kernel(state, 1, now)
    settled = made.settle(state, -1, made.receipt(before, state), now + 30 * SECOND)
    assert settled.state[2] == state[2]
    assert settled.ttl == 7 * 86_400 * SECOND - 20 * SECOND


def test_a_rate_that_is_counted_no_more_remembers_its_bans():
    strategy, now = Penalty(base="10s", forget="7 days"), 10**15
    made, other = (plan(strategy, [rate], varying=True) for rate in (RATE, Rate(10, 60 * SECOND)))
    _, state, _ = made.kernel(None, 3, now)
    _, state, ttl = other.kernel(state, 1, now + 20 * SECOND)
    assert ttl == 7 * 86_400 * SECOND - 10 * SECOND
