"""For tests: a clock to move, fresh quotas, assertions, and contract tests for strategies, stores and adapters.

A contract is a class of pytest tests. Subclass it and name the subject of the tests:

    class TestMyStrategy(StrategyContract):
        strategy = MyStrategy()

The contracts need pytest, and those of stores and adapters run on the event loops of anyio's fixture `anyio_backend`:
asyncio and trio, unless the class has a fixture of that name. The rest works without pytest. `traffik.testing.plugin`
is a plugin that pytest finds by itself.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traffik.testing.adapters import AdapterContract
    from traffik.testing.assertions import assert_allows, assert_throttled
    from traffik.testing.backends import BackendContract
    from traffik.testing.clock import VirtualClock
    from traffik.testing.composing import ComposingContract
    from traffik.testing.isolation import fresh_quota, use_clock, wall_clock
    from traffik.testing.strategies import StrategyContract

__all__ = [
    "AdapterContract",
    "BackendContract",
    "ComposingContract",
    "StrategyContract",
    "VirtualClock",
    "assert_allows",
    "assert_throttled",
    "fresh_quota",
    "use_clock",
    "wall_clock",
]

_HOME_OF = {
    "AdapterContract": "adapters",
    "BackendContract": "backends",
    "ComposingContract": "composing",
    "StrategyContract": "strategies",
    "VirtualClock": "clock",
    "assert_allows": "assertions",
    "assert_throttled": "assertions",
    "fresh_quota": "isolation",
    "use_clock": "isolation",
    "wall_clock": "isolation",
}

if "pytest" in sys.modules:
    # so that under pytest a failing assertion shows its values, as in a test file
    _homes = {"stores", *_HOME_OF.values()}
    sys.modules["pytest"].register_assert_rewrite(*(f"{__name__}.{home}" for home in _homes))


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
