"""The attribute `__signature__` of throttles, from which dependency injection takes the parameters to pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspect import Signature

__all__ = ["injected_signature"]


class injected_signature:  # noqa: N801 - it is a decorator, like property
    """A property of instances that their class does not have, so the class keeps the signature of its ``__init__``."""

    def __init__(self, signature_of: Callable[[Any], Signature]) -> None:
        self.__doc__ = signature_of.__doc__
        self._signature_of = signature_of

    def __get__(self, instance: object, owner: type | None = None, /) -> Signature:
        if instance is None:
            raise AttributeError("only an instance has __signature__")
        return self._signature_of(instance)
