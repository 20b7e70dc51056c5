"""A check of the order of base classes: a mixin that comes too late is never called."""

from __future__ import annotations

from traffik.model.errors import ConfigurationError

__all__ = ["check_bases"]


def check_bases(cls: type, mixin: type, method: str) -> None:
    """Check that `cls` calls the method of `mixin`, and not that of another base class before it.

    Raises:
        ConfigurationError: another base class comes first.
    """
    first = next(base for base in cls.__mro__ if base is mixin or method in vars(base))
    if not issubclass(first, mixin):
        raise ConfigurationError(
            f"{cls.__qualname__} would limit nothing, since {first.__qualname__}.{method} hides that of "
            f"{mixin.__name__}: put {mixin.__name__} before its other base classes"
        )
