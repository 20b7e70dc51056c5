"""The property `__signature__` of throttles, from which dependency injection takes the parameters to pass."""

from __future__ import annotations

__all__ = ["injected_signature"]


class injected_signature(property):  # noqa: N801 - it is a decorator, like property
    """A property of instances that their class does not have, so the class keeps the signature of its ``__init__``."""

    def __get__(self, instance: object, owner: type | None = None, /) -> object:
        if instance is None:
            raise AttributeError("only an instance has __signature__")
        return super().__get__(instance, owner)
