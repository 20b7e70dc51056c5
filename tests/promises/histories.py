"""Histories of concurrent hits on one key, and whether one instant can be given to each hit that explains them all.

The checker is that of Wing and Gong (1993), with Lowe's memory of the configurations that led nowhere.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import NamedTuple

from traffik import Decision


class Hit(NamedTuple):
    called: int
    returned: int
    cost: int
    decision: Decision


def linearizable(hits, decide):
    """Whether the hits can be put in an order in which `decide` (state and cost in, decision and state out) agrees.

    An order that keeps every hit after those that had returned before it was called.
    """
    dead = set()

    def explain(waiting, state):
        if not waiting:
            return True
        if (waiting, state) in dead:
            return False
        first_return = min(hits[number].returned for number in waiting)
        for number in waiting:
            decision, changed = decide(state, hits[number].cost)
            possible = hits[number].called <= first_return and decision == hits[number].decision
            if possible and explain(waiting - {number}, state if changed is None else changed):
                return True
        dead.add((waiting, state))
        return False

    return explain(frozenset(range(len(hits))), None)


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
