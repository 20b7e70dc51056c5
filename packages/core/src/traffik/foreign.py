"""Option names of other rate limiters, and the option of ours that does the same.

People bring these names along. Python alone would only say that the argument is unexpected.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["refuse_foreign_options"]

_IDENTIFIER: Final = "the function that tells clients apart is the identifier: identifier=<a function of the request>"
_RATE: Final = 'the limit and its period are one rate: rate="100/min"'
_BACKEND: Final = "the store is the backend: backend=InMemoryBackend()"
_HANDLER: Final = "the function that answers a refusal is the throttled handler: handle_throttled=<a function>"
_RULES: Final = 'which requests it applies to is a rule: rules=Rule("/api/**", methods=["GET"])'
_SKIPPING: Final = "to skip requests, give rules=Rule(…, bypass=True), or answer traffik.EXEMPTED in the identifier"
_UID: Final = 'the name is the uid, the first argument: uid="api"'


def _each(names: str, hint: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), hint)


_HINTS: Final[Mapping[str, str]] = {
    "burst": "burst belongs to the strategy: strategy=TokenBucket(burst={value})",
    "capacity": "the capacity is the burst of the strategy: strategy=TokenBucket(burst={value})",
    "debt": "debt belongs to the strategy: strategy=TokenBucket(debt={value})",
    "namespace": "the namespace belongs to the store: InMemoryBackend(namespace={value})",
    "on_error": "on_error belongs to the store: RedisBackend(url, on_error={value})",
    "scope": 'the scope is part of the context: context={{"scope": {value}}}',
    **_each("algorithm moving_window", "the algorithm is the strategy: strategy=SlidingLog()"),
    **_each("key key_func key_function key_builder keyfunc get_key get_identity", _IDENTIFIER),
    **_each("limit limits limit_value limit_string default_limits amount calls", _RATE),
    **_each("times max_requests max_calls num_requests", _RATE),
    **_each("milliseconds seconds minutes hours days period per time_period window window_size", _RATE),
    **_each("storage storage_uri storage_url store redis redis_url", _BACKEND),
    **_each("callback handler on_limit on_breach on_exceeded on_blocked on_throttled", _HANDLER),
    **_each("methods method path paths per_method", _RULES),
    **_each("exempt_when skip skip_if bypass exempt", _SKIPPING),
    **_each("name group prefix key_prefix", _UID),
    **_each("weight units tokens", "the units that a hit takes are its cost: cost={value}"),
}


def refuse_foreign_options(options: Mapping[str, object], call: Callable[..., Any] | None = None) -> None:
    """Name our word for an option that only other rate limiters have.

    Args:
        options: keyword arguments of a call.
        call: what is called; an option that it has itself is no mistake. None if it has none of those named here.

    Raises:
        TypeError: one of them is such an option; the message says what to write instead.
    """
    for name in options:
        if name in _HINTS and not (call and _takes(call, name)):
            value = options[name]
            shown = repr(value) if isinstance(value, int | float | str) else "…"
            raise TypeError(f"there is no option {name!r}: {_HINTS[name].format(value=shown)}")


def _takes(call: Callable[..., Any], name: str) -> bool:
    parameters = inspect.signature(call).parameters
    return name in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
