"""Watch decisions: events for listeners, counts and metrics. While nothing listens, a hit does no work for them.

from traffik.events import subscribe

with subscribe(print):
    ...
"""

from traffik.events.logs import EventLog
from traffik.events.records import DecisionEvent
from traffik.events.subscriptions import Subscription, subscribe, unsubscribe

__all__ = ["DecisionEvent", "EventLog", "Subscription", "subscribe", "unsubscribe"]
