"""Rate limiting for web services: exact, fast, the same object in every framework.

from traffik import HTTPThrottle

throttle = HTTPThrottle(uid="api:data", rate="100/min")
await throttle.hit(request)     # returns the request, or answers 429

Every name below is loaded when it is first used, so that `import traffik` costs next to nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traffik.answers import use_outgoing
    from traffik.clients import EXEMPTED
    from traffik.costs import MAX_COST
    from traffik.decisions import NEVER, Decision, StrategyStat
    from traffik.errors import (
        AdapterNotFoundError,
        BackendError,
        BackendNotFoundError,
        BackendTimeoutError,
        ConfigurationError,
        DuplicateUidError,
        RateError,
        Throttled,
        TraffikError,
    )
    from traffik.floods import Floods
    from traffik.limiter import Limiter
    from traffik.outgoing import Outgoing
    from traffik.rates import UNLIMITED, Rate
    from traffik.registry import group
    from traffik.rules import Rule
    from traffik.strategies import (
        GCRA,
        FixedWindow,
        LeakyBucket,
        SlidingLog,
        SlidingWindow,
        Strategy,
        TokenBucket,
        Transition,
    )
    from traffik.throttles import HTTPThrottle, WebSocketThrottle, get_wait, is_throttled

__all__ = [
    "EXEMPTED",
    "GCRA",
    "MAX_COST",
    "NEVER",
    "UNLIMITED",
    "AdapterNotFoundError",
    "BackendError",
    "BackendNotFoundError",
    "BackendTimeoutError",
    "ConfigurationError",
    "Decision",
    "DuplicateUidError",
    "FixedWindow",
    "Floods",
    "HTTPThrottle",
    "LeakyBucket",
    "Limiter",
    "Outgoing",
    "Rate",
    "RateError",
    "Rule",
    "SlidingLog",
    "SlidingWindow",
    "Strategy",
    "StrategyStat",
    "Throttled",
    "TokenBucket",
    "TraffikError",
    "Transition",
    "WebSocketThrottle",
    "get_wait",
    "group",
    "is_throttled",
    "use_outgoing",
]

_HOMES = {
    "answers": ("use_outgoing",),
    "clients": ("EXEMPTED",),
    "costs": ("MAX_COST",),
    "decisions": ("NEVER", "Decision", "StrategyStat"),
    "errors": (
        "AdapterNotFoundError",
        "BackendError",
        "BackendNotFoundError",
        "BackendTimeoutError",
        "ConfigurationError",
        "DuplicateUidError",
        "RateError",
        "Throttled",
        "TraffikError",
    ),
    "floods": ("Floods",),
    "limiter": ("Limiter",),
    "outgoing": ("Outgoing",),
    "rates": ("UNLIMITED", "Rate"),
    "registry": ("group",),
    "rules": ("Rule",),
    "strategies": (
        "GCRA",
        "FixedWindow",
        "LeakyBucket",
        "SlidingLog",
        "SlidingWindow",
        "Strategy",
        "TokenBucket",
        "Transition",
    ),
    "throttles": ("HTTPThrottle", "WebSocketThrottle", "get_wait", "is_throttled"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    try:
        home = _HOME_OF[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
