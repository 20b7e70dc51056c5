"""How a limit is made, copied and pickled: a copy, here or in another process, is made by repeating the same call."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from traffik.foreign import refuse_foreign_options

if TYPE_CHECKING:
    from typing import Self

    from traffik.rules import Rule

__all__ = ["ConstructorSignature", "Repeatable"]


class ConstructorSignature(property):
    """The property ``__signature__`` of instances; of the class it is the signature of the constructor.

    Without it `inspect` would show a class that has ``__new__`` as ``(*arguments, **options)``.
    """

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is not None or owner is None:
            return super().__get__(instance, owner)
        _, *parameters = inspect.signature(owner.__init__).parameters.values()  # type: ignore[misc] # of this very class
        return inspect.Signature(parameters)


class Repeatable:
    """An object that remembers the call that made it.

    A copy is another limit of the same uid and settings, so it shares the quota of the original. It has the rules that
    the original has now, and is disabled if that is. Pickling works if all arguments of the call can be pickled, and if
    the store is not among them.
    """

    __signature__ = ConstructorSignature()

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        refuse_foreign_options(options, cls.__init__)
        made = super().__new__(cls)
        made._call = arguments, options
        return made

    _call: tuple[tuple[Any, ...], dict[str, Any]]

    def __copy__(self) -> Self:
        make, parts = _parts(self)
        copy: Self = make(*parts)
        return copy

    def __deepcopy__(self, memo: object) -> Self:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        arguments, options = self._call
        given = inspect.signature(type(self)).bind(*arguments, **options).arguments
        for name, value in given.items():
            _check(self, name, value)
        return _parts(self)


def _parts(limit: Any) -> tuple[Any, tuple[Any, ...]]:
    rules = () if limit.rules is None else limit.rules.rules
    return _make, (type(limit), *limit._call, limit.enabled, rules)


def _make(
    kind: type[Any], arguments: tuple[Any, ...], options: Mapping[str, Any], enabled: bool, rules: tuple[Rule, ...]
) -> Any:
    limit = kind(*arguments, **options)
    ruled = () if limit.rules is None else limit.rules.rules
    for rule in ruled:
        if rule not in rules:
            limit.remove_rule(rule)
    for rule in rules:
        if rule not in ruled:
            limit.add_rule(rule)
    if limit.enabled is not enabled:
        (limit.enable if enabled else limit.disable)()
    return limit


def _check(limit: Repeatable, name: str, value: object) -> None:
    try:
        pickle.dumps(value)
    except Exception as error:
        raise pickle.PicklingError(
            f"{limit!r} cannot be pickled, because its {name} cannot: {error}. Make the throttle at the top of a "
            f"module and import it in the other process, or give it functions that stand at the top of a module"
        ) from error
