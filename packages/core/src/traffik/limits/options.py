"""Checks of the options of limits. For those of other rate limiters the error names the option to use instead."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from traffik.backends.base import Backend
from traffik.model.callables import Callback
from traffik.model.descriptions import describe
from traffik.model.errors import RateError
from traffik.model.rates import Rate, Rates, parse_rates
from traffik.responses.options import ResponseOptions

__all__ = ["check_backend", "check_options", "check_responses", "returned_rates"]

_RATE: Final = 'a rate is written as text, such as rate="5/min"'
_CLIENT: Final = "identifier= takes a function of the request that returns which client it belongs to"
_INSTEAD: Final[Mapping[str, str]] = {
    "amount": "cost= is the number of units that a hit consumes",
    "algorithm": "the algorithm is strategy=, such as strategy=TokenBucket()",
    "burst": "burst belongs to the strategy: strategy=TokenBucket(burst={})",
    "callback": "handle_throttled= takes a function that is called for refused requests",
    "debt": "debt belongs to the strategy: strategy=TokenBucket(debt={})",
    "error_message": "handle_throttled= takes a function that is called for refused requests",
    "exempt_when": "rules= selects the requests that count: rules=[Rule(when=..., bypass=True)]",
    "hits": _RATE,
    "hours": _RATE,
    "id": "the name of a limit is uid=",
    "key": _CLIENT,
    "key_builder": _CLIENT,
    "key_func": _CLIENT,
    "limit": _RATE,
    "limits": 'several rates are written as one text: rate="10/s; 1000/hour"',
    "methods": 'rules= selects the requests that count: rules=Rule(methods=["POST"])',
    "milliseconds": _RATE,
    "minutes": _RATE,
    "name": "the name of a limit is uid=",
    "namespace": "the namespace belongs to the store: backend=InMemoryBackend(namespace={})",
    "on_breach": "handle_throttled= takes a function that is called for refused requests",
    "per": _RATE,
    "period": _RATE,
    "redis": 'the store is backend=: backend=RedisBackend("redis://localhost")',
    "requests": _RATE,
    "scope": 'a scope is a part of the context: context={{"scope": {}}}',
    "seconds": _RATE,
    "storage": "the store is backend=: backend=InMemoryBackend()",
    "storage_uri": "the store is backend=: backend=RedisBackend({})",
    "store": "the store is backend=: backend=InMemoryBackend()",
    "times": _RATE,
    "weight": "cost= is the number of units that a hit consumes",
    "window": _RATE,
}


def check_options(kind: type, options: Mapping[str, Any]) -> None:
    """Check that `kind` takes options with these names.

    Raises:
        TypeError: it does not. The message names the option to use instead, if there is one.
    """
    known = _options_of(kind)
    for name, value in options.items():
        if known is not None and name not in known:
            instead = _INSTEAD.get(name)
            shown = describe(value)
            hint = f"it takes {', '.join(known)}" if instead is None else instead.format(shown)
            raise TypeError(f"{kind.__name__} takes no option {name}={shown}: {hint}")


@lru_cache
def _options_of(kind: type) -> tuple[str, ...] | None:
    """The names of the options of a class; None if it takes any."""
    made: Any = kind
    parameters = [*inspect.signature(made.__init__).parameters.values()][1:]
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return None
    return tuple(each.name for each in parameters)


def check_backend(backend: object) -> Backend | None:
    """The store of a limit. Raises a TypeError if it is no store."""
    if not isinstance(backend, Backend | None):
        raise TypeError(f"a backend is a store, such as InMemoryBackend(), or None, not {describe(backend)}")
    return backend


def check_responses(responses: object) -> ResponseOptions | None:
    """The response options of a limit. Raises a TypeError if they are something else."""
    if not isinstance(responses, ResponseOptions | None):
        raise TypeError(f"responses are None or ResponseOptions(), not {describe(responses)}")
    return responses


def returned_rates(function: Callback | None, rates: Rates) -> tuple[Rate, ...]:
    """The rates that a rate function has returned; none if they are ``()``.

    Raises:
        RateError: they are not rates. The message names the function.
    """
    try:
        return () if rates == () else parse_rates(rates)
    except RateError as error:
        if function is None:
            raise
        raise RateError(f"{function.name} has returned no rate: {error}") from error
