"""Random walks of a key: changed rates, clocks that go back, damaged states."""

from __future__ import annotations

from itertools import product

from tests.strategies.lua.twins import SPOILS, Step, Walk
from traffik import Rate, RateError, SlidingLog
from traffik.strategies import plan

START = 1_700_000_000_000_000
LATEST = 2**52
DAY = 86_400_000_000
CENTURY = 36_500 * DAY
YEARS = 1_000 * DAY  # so that no calendar period begins before 1970
PERIODS = [1_000, 10_000, 1_000_000, 60_000_000, 3_600_000_000, DAY, 7 * DAY, 365 * DAY]
HUGE = [2**31 - 1, 2**31, 2**53 - 1]

CALENDARS = [*product(["week", "month", "year"], ["UTC", "Europe/Berlin", "America/Havana"])]

OPERATIONS = {"hit": 40, "take": 5, "settle": 25, "check": 3, "probe": 4, "earliest": 2, "forget": 1, "spoil": 1}


def random_walk(chance, strategy, length):
    """Steps of one key of `strategy` under one to four plans of one to three rates."""
    plans = random_plans(chance, strategy)
    operations = chance.choices(list(OPERATIONS), OPERATIONS.values(), k=length)
    now, place, steps = START + chance.randrange(CENTURY // 50), 1, []
    earliest = YEARS if any(plan.calendar for plan in plans) else 0
    for operation in operations:
        if chance.random() < 0.1:
            place = chance.randint(1, len(plans))
        rate = chance.choice(plans[place - 1].rates)
        now = min(max(earliest, now + random_move(chance, rate)), LATEST)
        if operation == "spoil":
            steps.append(Step(operation, chance.randint(1, 3), chance.randint(1, len(SPOILS)), now))
        elif operation == "earliest" and earliest:  # it may look beyond the windows of the calendar that Lua knows
            steps.append(Step("probe", place, random_cost(chance, plans[place - 1].capacity), now))
        elif operation == "settle":
            delta = random_cost(chance, plans[place - 1].capacity) * chance.choice([-1, -1, -1, 1])
            steps.append(Step(operation, place, delta, now, chance.choice([0, 1, 1, 2, 3, 5, 9])))
        else:
            steps.append(Step(operation, place, random_cost(chance, plans[place - 1].capacity), now))
    return Walk(plans, steps)


def random_plans(chance, strategy):
    first = random_rate(chance, strategy)
    rates = [first, *(related_rate(chance, strategy, first) for _ in range(chance.randint(0, 4)))]
    count = chance.randint(1, 4)
    if chance.random() < 0.25:
        rates += [
            Rate.parse(f"{chance.randint(1, 90)}/{unit} tz={zone}") for unit, zone in chance.choices(CALENDARS, k=2)
        ]
    choices = [dict.fromkeys(chance.choices(rates, k=chance.choice([1, 1, 2, 3]))) for _ in range(count)]
    return [plan(strategy, list(choice), varying=True) for choice in choices]


def random_rate(chance, strategy):
    """A random rate: small and easily exhausted, usual, or at the largest numbers that can be counted."""
    kind = chance.random()
    if kind < 0.3:
        return countable(chance, strategy, chance.randint(0, 12), chance.randint(1, chance.choice([2, 60])))
    if kind < 0.7:
        return countable(chance, strategy, chance.randint(1, 1000), chance.choice(PERIODS))
    return countable(chance, strategy, of_any_size(chance, 2**53 - 1), of_any_size(chance, CENTURY))


def related_rate(chance, strategy, rate):
    """A rate that another may be changed to."""
    if chance.random() < 0.3:
        return random_rate(chance, strategy)
    limit, period = chance.choice([1, 1, 2, 3, 10]), chance.choice([1, 1, 2, 10, 60])
    limit = rate.limit * limit if chance.random() < 0.5 else -(-rate.limit // limit)
    period = rate.period * period if chance.random() < 0.5 else -(-rate.period // period)
    return countable(chance, strategy, min(limit, 2**53 - 1), min(period, CENTURY))


def countable(chance, strategy, limit, period):
    """This rate, or a smaller one that the strategy can count."""
    if isinstance(strategy, SlidingLog):
        limit = min(limit, chance.choice([5, 40, 300]))
    while True:
        try:
            strategy.prepare(Rate(limit, period))
        except RateError:
            limit, period = limit // chance.randint(2, 1000), max(1, period // chance.randint(1, 10))
        else:
            return Rate(limit, period)


def of_any_size(chance, most):
    number = chance.randrange(1, 2 ** chance.randint(1, most.bit_length()))
    if chance.random() < 0.5:
        number -= number % 10 ** chance.randint(0, 12)
    return min(max(1, number), most)


def random_move(chance, rate):
    """A move of the clock: usually forward, sometimes back, and sometimes far back."""
    kind = chance.random()
    if kind < 0.3:
        return chance.choice([0, 0, 1])
    if kind < 0.6:
        return chance.randint(0, 2 * rate.period // max(1, rate.limit))
    if kind < 0.9:
        return chance.randint(0, chance.choice([1, 3]) * rate.period)
    return -chance.randint(1, chance.choice([1, 2, 100]) * rate.period)


def random_cost(chance, capacity):
    kind = chance.random()
    if kind < 0.6:
        return chance.randint(1, 3)
    if kind < 0.9:
        return chance.randint(0, capacity)
    return chance.choice([0, capacity, capacity + 1, *HUGE])
