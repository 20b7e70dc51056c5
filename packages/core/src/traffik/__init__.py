"""Rate limiting for web services: exact, fast, the same object in every framework.

from traffik import HTTPThrottle

throttle = HTTPThrottle(uid="api:data", rate="100/min")
await throttle.hit(request)     # returns the request, or answers 429

Every name below is loaded when it is first used, so that `import traffik` costs next to nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    __version__: str
    from traffik.events.changes import RateChange, subscribe_changes
    from traffik.events.logs import EventLog
    from traffik.events.records import DecisionEvent
    from traffik.events.subscriptions import Subscription, subscribe, unsubscribe
    from traffik.identities.proxies import DENIED, EXEMPTED
    from traffik.identities.trust import trust_no_proxies, trust_proxies
    from traffik.limits.combinations import Hit
    from traffik.limits.defaults import set_default_responses
    from traffik.limits.floods import FloodPolicy
    from traffik.limits.groups import group
    from traffik.limits.limiter import Limiter
    from traffik.limits.slots import Slots
    from traffik.limits.tiers import Tiers
    from traffik.limits.waiting import NeverAdmittedError, WaitTimeoutError
    from traffik.model.costs import MAX_COST
    from traffik.model.decisions import NEVER, Decision, SettledDecision, StrategyStat
    from traffik.model.errors import (
        AdapterNotFoundError,
        BackendError,
        BackendNotFoundError,
        BackendTimeoutError,
        ConfigurationError,
        DuplicateUidError,
        RateError,
        SlotLostError,
        TraffikError,
    )
    from traffik.model.rates import UNLIMITED, Rate
    from traffik.responses.options import ResponseOptions
    from traffik.responses.rejections import Throttled
    from traffik.rules.rule import Rule
    from traffik.strategies import (
        GCRA,
        CalendarWindow,
        FixedWindow,
        LeakyBucket,
        Penalty,
        SlidingCounter,
        SlidingLog,
        SlidingWindow,
        Strategy,
        TokenBucket,
        Transition,
    )
    from traffik.throttles import HTTPThrottle, WebSocketThrottle, get_wait, is_throttled
    from traffik.throttles.all_of import AllOf, hit_all, hit_all_sync, reserve_all, reserve_all_sync
    from traffik.throttles.files import load_throttles
    from traffik.throttles.following import following

__all__ = [
    "DENIED",
    "EXEMPTED",
    "GCRA",
    "MAX_COST",
    "NEVER",
    "UNLIMITED",
    "AdapterNotFoundError",
    "AllOf",
    "BackendError",
    "BackendNotFoundError",
    "BackendTimeoutError",
    "CalendarWindow",
    "ConfigurationError",
    "Decision",
    "DecisionEvent",
    "DuplicateUidError",
    "EventLog",
    "FixedWindow",
    "FloodPolicy",
    "HTTPThrottle",
    "Hit",
    "LeakyBucket",
    "Limiter",
    "NeverAdmittedError",
    "Penalty",
    "Rate",
    "RateChange",
    "RateError",
    "ResponseOptions",
    "Rule",
    "SettledDecision",
    "SlidingCounter",
    "SlidingLog",
    "SlidingWindow",
    "SlotLostError",
    "Slots",
    "Strategy",
    "StrategyStat",
    "Subscription",
    "Throttled",
    "Tiers",
    "TokenBucket",
    "TraffikError",
    "Transition",
    "WaitTimeoutError",
    "WebSocketThrottle",
    "following",
    "get_wait",
    "group",
    "hit_all",
    "hit_all_sync",
    "is_throttled",
    "load_throttles",
    "reserve_all",
    "reserve_all_sync",
    "set_default_responses",
    "subscribe",
    "subscribe_changes",
    "trust_no_proxies",
    "trust_proxies",
    "unsubscribe",
]

_HOMES = {
    "events.changes": ("RateChange", "subscribe_changes"),
    "events.logs": ("EventLog",),
    "events.records": ("DecisionEvent",),
    "events.subscriptions": ("Subscription", "subscribe", "unsubscribe"),
    "limits.defaults": ("set_default_responses",),
    "identities.proxies": ("DENIED", "EXEMPTED"),
    "model.costs": ("MAX_COST",),
    "model.decisions": ("NEVER", "Decision", "SettledDecision", "StrategyStat"),
    "responses.rejections": ("Throttled",),
    "model.errors": (
        "AdapterNotFoundError",
        "BackendError",
        "BackendNotFoundError",
        "BackendTimeoutError",
        "ConfigurationError",
        "DuplicateUidError",
        "RateError",
        "SlotLostError",
        "TraffikError",
    ),
    "limits.combinations": ("Hit",),
    "limits.floods": ("FloodPolicy",),
    "limits.limiter": ("Limiter",),
    "limits.slots": ("Slots",),
    "limits.tiers": ("Tiers",),
    "limits.waiting": ("NeverAdmittedError", "WaitTimeoutError"),
    "throttles.files": ("load_throttles",),
    "throttles.following": ("following",),
    "responses.options": ("ResponseOptions",),
    "model.rates": ("UNLIMITED", "Rate"),
    "limits.groups": ("group",),
    "rules.rule": ("Rule",),
    "strategies": (
        "GCRA",
        "CalendarWindow",
        "FixedWindow",
        "LeakyBucket",
        "Penalty",
        "SlidingCounter",
        "SlidingLog",
        "SlidingWindow",
        "Strategy",
        "TokenBucket",
        "Transition",
    ),
    "throttles": ("HTTPThrottle", "WebSocketThrottle", "get_wait", "is_throttled"),
    "throttles.all_of": ("AllOf", "hit_all", "hit_all_sync", "reserve_all", "reserve_all_sync"),
    "identities.trust": ("trust_no_proxies", "trust_proxies"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("traffik-core")
    try:
        home = _HOME_OF[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
