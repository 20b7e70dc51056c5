"""The calendar for stores whose clock does not know it: plans with calendar periods are shifted to their clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traffik.strategies import Plan

__all__ = ["plan_on"]


def plan_on(clock: Callable[[], int], plan: Plan) -> Plan:
    """A plan as it counts in a store with this clock, which returns nanoseconds.

    A monotonic clock counts from the start of the machine, so plans with calendar periods get the difference to the
    time of day. So do those with several rates, since the calendar may have counted before. Any other clock, such as
    that of a test, is taken for the time of day. Other plans stay as they are.
    """
    return _shifted(clock, plan) if plan.calendar or plan.several else plan


@lru_cache(1024)
def _shifted(clock: Callable[[], int], plan: Plan) -> Plan:
    return plan.shifted(lambda: (time.time_ns() - clock()) // 1000) if clock is time.monotonic_ns else plan
