"""Checks of the options of limits. For those of other rate limiters the error names the option to use instead."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final

from traffik.backends.base import Backend
from traffik.model.callables import Callback
from traffik.model.descriptions import describe
from traffik.model.errors import RateError
from traffik.model.rates import Rate, Rates, parse_rates
from traffik.responses.options import ResponseOptions

__all__ = ["check_backend", "check_options", "check_responses", "returned_rates"]

_OURS: Final[Mapping[str, str]] = {
    "rate": 'a rate is written as text, such as rate="5/min"',
    "rates": 'several rates are written as one text: rate="10/s; 1000/hour"',
    "uid": "the name of a limit is uid=",
    "cost": "cost= is the number of units that a hit consumes",
    "identifier": "identifier= takes a function of the request that returns which client it belongs to",
    "handle_throttled": "handle_throttled= takes a function that is called for refused requests",
    "rules": 'rules= selects the requests that count: rules=Rule(methods=["POST"])',
    "exempt": "rules= selects the requests that count: rules=[Rule(when=..., bypass=True)]",
    "strategy": "the algorithm is strategy=, such as strategy=TokenBucket()",
    "burst": "burst belongs to the strategy: strategy=TokenBucket(burst={})",
    "debt": "debt belongs to the strategy: strategy=TokenBucket(debt={})",
    "scope": 'a scope is a part of the context: context={{"scope": {}}}',
    "backend": "the store is backend=: backend=InMemoryBackend()",
    "redis": 'the store is backend=: backend=RedisBackend("redis://localhost")',
    "uri": "the store is backend=: backend=RedisBackend({})",
    "namespace": "the namespace belongs to the store: backend=InMemoryBackend(namespace={})",
    "on_error": "the error policy belongs to the store: backend=RedisBackend(url, on_error={})",
}
"""How to write our options, and what belongs to another object."""

_FOREIGN: Final[Mapping[str, str]] = {
    **dict.fromkeys(("limit", "hits", "times", "requests", "per", "period", "window"), "rate"),
    **dict.fromkeys(("hours", "milliseconds", "minutes", "seconds"), "rate"),
    **dict.fromkeys(("id", "name"), "uid"),
    **dict.fromkeys(("amount", "weight"), "cost"),
    **dict.fromkeys(("identifier", "key", "key_builder", "key_func", "key_function"), "identifier"),
    **dict.fromkeys(("callback", "error_message", "handler", "on_breach", "on_throttled"), "handle_throttled"),
    **dict.fromkeys(("method", "methods", "rules"), "rules"),
    **dict.fromkeys(("storage", "store"), "backend"),
    **dict.fromkeys(("error_policy", "fail_open", "on_error", "swallow_errors"), "on_error"),
    "algorithm": "strategy",
    "burst": "burst",
    "debt": "debt",
    "exempt_when": "exempt",
    "handle_throttled": "handle_throttled",
    "limits": "rates",
    "namespace": "namespace",
    "redis": "redis",
    "scope": "scope",
    "storage_uri": "uri",
}
"""The names of options in other limiters, and of some that belong elsewhere, each with the entry of `_OURS`."""

_OF_REQUESTS: Final[Mapping[str, str]] = {
    "identifier": 'the identity is an argument of the hit, as in limiter.hit("user:42")',
    "handle_throttled": 'a refusal is a value, as in: if not limiter.hit("user:42")',
    "rules": "rules select requests, so they belong to an HTTPThrottle",
    "exempt": "rules select requests, so they belong to an HTTPThrottle",
}
"""The entries for limits that know no requests, instead of those of `_OURS`."""


def check_options(kind: type, options: Mapping[str, Any], arguments: Sequence[object] | None = None) -> None:
    """Check that `kind` takes options with these names, and with the `arguments` before them has a uid and a rate.

    Raises:
        TypeError: it does not. The message names the option to use instead, if there is one.
    """
    known = _options_of(kind)
    for name, value in options.items():
        if known is not None and name not in known:
            shown = describe(value)
            raise TypeError(f"{kind.__name__} takes no option {name}={shown}: {_instead(name, known).format(shown)}")
    if arguments is not None and known is not None and known[:2] == ("uid", "rate"):
        _check_both_given(kind, arguments, options)


def _check_both_given(kind: type, arguments: Sequence[object], options: Mapping[str, Any]) -> None:
    """Check that a limit gets both a uid and a rate. A rate alone is what other limiters take."""
    if len(arguments) + len(options.keys() & {"uid", "rate"}) < 2:
        given = [*map(describe, arguments), *(f"{name}={describe(value)}" for name, value in options.items())]
        example = f'{kind.__name__}("api", "100/min")'
        raise TypeError(f"{kind.__name__} takes a uid and a rate, as in {example}, not ({', '.join(given)})")


def _instead(name: str, known: Sequence[str]) -> str:
    """How to write an option that a limit with the options `known` does not have."""
    ours = _FOREIGN.get(name, "")
    if ours in _OF_REQUESTS and "identifier" not in known:
        return _OF_REQUESTS[ours]
    if ours:
        return _OURS[ours]
    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]}=?" if close else f"it takes {', '.join(known)}"


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
        raise TypeError(f"a backend is a store, such as {_store_for(backend)}, or None, not {describe(backend)}")
    return backend


def _store_for(backend: object) -> str:
    """The store that was meant: a class has to be called, and a text is the address of a server."""
    if isinstance(backend, type):
        return f"{backend.__name__}()"
    return f"RedisBackend({backend!r})" if isinstance(backend, str) and "://" in backend else "InMemoryBackend()"


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
