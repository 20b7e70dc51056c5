"""Histories of concurrent hits on one key, and a check whether some order of the hits explains all decisions.

The algorithm is that of Wing and Gong (1993), with Lowe's cache of configurations that were tried without success.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from contextlib import contextmanager
from typing import Any, NamedTuple


class Hit(NamedTuple):
    called: int  # ns, on a clock that all callers share
    returned: int
    cost: int
    decision: Any  # compared with that of a decider: a Decision, or the part that does not depend on time


def most_in_a_window(hits, period):
    """The most units admitted by hits that began and ended within one stretch shorter than `period` ns."""
    admitted = [hit for hit in hits if hit.decision.allowed]
    return max(
        sum(hit.cost for hit in admitted if start <= hit.called and hit.returned < start + period)
        for start in {hit.called for hit in admitted}
    )


def linearizable(hits, *deciders):
    """Whether some order of the hits gives the same decisions as a decider.

    In the order, each hit comes after those that returned before it was called. A decider is a function from state and
    cost to decision and new state. With several deciders, each hit may have been decided by any of them.
    """
    hits = sorted(hits, key=lambda hit: hit.called)
    # A configuration: all hits before `first` are placed and those in `beyond`, and they led to `state`.
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
    """The hits that may come next: those called before any hit that is not placed has returned.

    Of hits with the same cost and decision only the one that returned first, since in a valid order with another of
    them here, the two can be swapped.
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
    """The configuration after placing one more hit."""
    beyond |= {number}
    while first in beyond:
        beyond -= {first}
        first += 1
    return first, beyond


def record(hit, costs_of_threads):
    """Let threads hit with their costs at the same time; the history."""
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
    """Make the interpreter switch between threads as often as possible."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
