"""Histories of concurrent hits on one key, and whether some order of the hits explains all decisions.

The checker is that of Wing and Gong (1993), with Lowe's memory of the configurations that led nowhere.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from contextlib import contextmanager
from typing import Any, NamedTuple


class Hit(NamedTuple):
    called: int  # ns, on a clock that all who hit share
    returned: int
    cost: int
    decision: Any  # what a decider is to agree with: a Decision, or as much of it as does not depend on the time


def most_in_a_window(hits, period):
    """The most units admitted by hits that lie wholly in one stretch shorter than `period` ns."""
    admitted = [hit for hit in hits if hit.decision.allowed]
    return max(
        sum(hit.cost for hit in admitted if start <= hit.called and hit.returned < start + period)
        for start in {hit.called for hit in admitted}
    )


def linearizable(hits, *deciders):
    """Whether the hits can be put in an order in which a decider (state and cost in, decision and state out) agrees.

    An order that keeps every hit after those that had returned before it was called. With several deciders any of them
    may have decided a hit.
    """
    hits = sorted(hits, key=lambda hit: hit.called)
    # How far an order has come: all hits before one of them are placed, and some beyond it; and the state they led to.
    untried, seen = [(0, frozenset(), None)], set()
    while untried:
        configuration = first, beyond, state = untried.pop()
        if first == len(hits):
            return True
        if configuration in seen:
            continue
        seen.add(configuration)
        for number in possible_next(hits, first, beyond):
            for decide in deciders:
                decision, changed = decide(state, hits[number].cost)
                if decision == hits[number].decision:
                    untried.append((*placed(number, first, beyond), state if changed is None else changed))
    return False


def possible_next(hits, first, beyond):
    """The hits that were called before any of those that are not placed has returned.

    Of those with the same cost and decision only the one that returned soonest: in an order that works with another of
    them here, the two can change places.
    """
    soonest, first_return = {}, math.inf
    for number in range(first, len(hits)):
        if number in beyond:
            continue
        hit = hits[number]
        if hit.called > first_return:
            break
        first_return = min(first_return, hit.returned)
        twin = soonest.setdefault((hit.cost, hit.decision), number)
        if hit.returned < hits[twin].returned:
            soonest[hit.cost, hit.decision] = number
    return soonest.values()


def placed(number, first, beyond):
    """How far an order has come with one more hit in it."""
    beyond |= {number}
    while first in beyond:
        beyond -= {first}
        first += 1
    return first, beyond


def record(hit, costs_of_threads):
    """The history of threads that hit with their costs, all at once."""
    history, barrier = [], threading.Barrier(len(costs_of_threads))

    def run(costs):
        barrier.wait()
        for cost in costs:
            called = time.perf_counter_ns()
            decision = hit(cost)
            history.append(Hit(called, time.perf_counter_ns(), cost, decision))

    threads = [threading.Thread(target=run, args=(costs,)) for costs in costs_of_threads]
    with eager_switches():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return history


@contextmanager
def eager_switches():
    """Threads take turns as often as the interpreter can let them."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
