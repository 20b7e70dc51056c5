"""The algorithms: pure functions from an old state to a decision and a new state, without clock, I/O or randomness."""

from traffik.strategies.base import (
    Kernel,
    Prepared,
    Receipt,
    Settled,
    Settling,
    State,
    Strategy,
    Transition,
    Twin,
    Twinned,
    probe,
)
from traffik.strategies.calendar_window import CalendarWindow
from traffik.strategies.fixed_window import FixedWindow
from traffik.strategies.meter import GCRA, LeakyBucket, TokenBucket
from traffik.strategies.penalty import Penalty
from traffik.strategies.plans import Plan, plan
from traffik.strategies.sliding_counter import SlidingCounter
from traffik.strategies.sliding_window import SlidingLog, SlidingWindow

__all__ = [
    "GCRA",
    "CalendarWindow",
    "FixedWindow",
    "Kernel",
    "LeakyBucket",
    "Penalty",
    "Plan",
    "Prepared",
    "Receipt",
    "Settled",
    "Settling",
    "SlidingCounter",
    "SlidingLog",
    "SlidingWindow",
    "State",
    "Strategy",
    "TokenBucket",
    "Transition",
    "Twin",
    "Twinned",
    "plan",
    "probe",
]
