"""Copying and pickling limits: a copy is made by repeating the call that made the original.

A copy has the uid and the settings of the original, so they share a quota if they use the same store.
"""

from __future__ import annotations

import inspect
import pickle
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from traffik.rules.rule import Rule

__all__ = ["copied", "pickled"]

_Call: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]

_Limit: TypeAlias = Any
"""A `traffik.limits.limit.Limit`. Its module imports this one, so it cannot be imported here."""


def copied(limit: _Limit, call: _Call) -> _Limit:
    """A copy of `limit`, with its current rules; disabled if `limit` is."""
    return _make(type(limit), call, limit.enabled, _rules_of(limit))


def pickled(limit: _Limit, call: _Call) -> tuple[Any, ...]:
    """`copied` for another process, as ``__reduce__`` returns it.

    Raises:
        TypeError: an argument of the call cannot be pickled.
    """
    arguments, options = call
    # bound to the parameters of the constructor, since an error names the argument
    constructor = inspect.signature(type(limit).__init__)
    for name, value in constructor.bind(limit, *arguments, **options).arguments.items():
        if value is not limit:
            _check(limit, name, value)
    return _make, (type(limit), call, limit.enabled, _rules_of(limit))


def _rules_of(limit: _Limit) -> tuple[Rule, ...]:
    return () if limit.rules is None else limit.rules.rules


def _make(kind: type[_Limit], call: _Call, enabled: bool, rules: tuple[Rule, ...]) -> _Limit:
    arguments, options = call
    limit = kind(*arguments, **options)
    made_with = _rules_of(limit)
    for rule in made_with:
        if rule not in rules:
            limit.remove_rule(rule)
    for rule in rules:
        if rule not in made_with:
            limit.add_rule(rule)
    if limit.enabled is not enabled:
        (limit.enable if enabled else limit.disable)()
    return limit


def _check(limit: _Limit, name: str, value: object) -> None:
    try:
        pickle.dumps(value)
    except Exception as error:
        raise TypeError(
            f"{limit!r} cannot be pickled, because its {name} cannot: {error}. Use functions that are defined at the "
            f"top level of a module, or make the limit there and import it in the other process"
        ) from error
