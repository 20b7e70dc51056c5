"""Options of limits that do not exist here, and the ones to use instead: for people who come from other limiters."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

__all__ = ["check_options"]

_RATE: Final = 'the rate is one text, such as rate="5/min"'
_WHO: Final = "identifier= takes a function of the request that returns whose quota it is"
_INSTEAD: Final[Mapping[str, str]] = {
    "amount": "the units of a hit are cost=",
    "algorithm": "the algorithm is strategy=, such as strategy=TokenBucket()",
    "burst": "burst belongs to the strategy: strategy=TokenBucket(burst={!r})",
    "callback": "handle_throttled= takes a function that is called for refused requests",
    "debt": "debt belongs to the strategy: strategy=TokenBucket(debt={!r})",
    "error_message": "handle_throttled= takes a function that is called for refused requests",
    "exempt_when": "rules= say which requests count: rules=[Rule(when=..., bypass=True)]",
    "hits": _RATE,
    "hours": _RATE,
    "id": "the name of a limit is uid=",
    "key": _WHO,
    "key_builder": _WHO,
    "key_func": _WHO,
    "limit": _RATE,
    "limits": 'several rates are one text: rate="10/s; 1000/hour"',
    "methods": 'rules= say which requests count: rules=Rule(methods=["POST"])',
    "milliseconds": _RATE,
    "minutes": _RATE,
    "name": "the name of a limit is uid=",
    "namespace": "the namespace belongs to the store: backend=InMemoryBackend(namespace={!r})",
    "on_breach": "handle_throttled= takes a function that is called for refused requests",
    "per": _RATE,
    "period": _RATE,
    "redis": 'a store is backend=: backend=RedisBackend("redis://localhost")',
    "requests": _RATE,
    "scope": 'a scope is a part of the context: context={{"scope": {!r}}}',
    "seconds": _RATE,
    "storage": "a store is backend=: backend=InMemoryBackend()",
    "storage_uri": "a store is backend=: backend=RedisBackend({!r})",
    "store": "a store is backend=: backend=InMemoryBackend()",
    "times": _RATE,
    "weight": "the units of a hit are cost=",
    "window": _RATE,
}


def check_options(kind: type, options: Mapping[str, Any]) -> None:
    """See that `kind` takes options of these names.

    Raises:
        TypeError: it does not; the message names the option to use instead, if there is one.
    """
    known = _options_of(kind)
    for name, value in options.items():
        if known is not None and name not in known:
            instead = _INSTEAD.get(name)
            hint = f"it takes {', '.join(known)}" if instead is None else instead.format(value)
            raise TypeError(f"{kind.__name__} takes no option {name}={value!r}: {hint}")


@lru_cache
def _options_of(kind: type) -> tuple[str, ...] | None:
    """The names of the options of a class; None if it takes any."""
    made: Any = kind
    parameters = [*inspect.signature(made.__init__).parameters.values()][1:]
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return None
    return tuple(each.name for each in parameters)
