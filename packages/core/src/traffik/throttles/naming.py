"""Uids for throttles that a decorator makes: the dotted name of the function, and a number if it is defined again.

Two functions may have one dotted name: a factory runs twice, or a module defines a name twice. Each gets its own quota,
so the uid of the second one ends in ``#2``. If a module is loaded again, its functions keep their uids. The two cases
differ in the code that runs the decorator: a factory runs the same code again, and loading a module again makes new
code. Numbers follow the order of the definitions, so the workers of a server agree about them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from traffik.model.descriptions import describe
from traffik.model.keys import MAX_LENGTH

if TYPE_CHECKING:
    from types import CodeType, FrameType

__all__ = ["Origin", "defining_code", "dotted_name", "numbered", "uid_of"]

Origin: TypeAlias = "Mapping[str, CodeType]"
"""The code that is running, by the name of its module: the innermost of each module, innermost first."""

_MOST: Final = 100
"""The most numbers for one name. A function that is defined for each request shares the first quota after that."""

_last: dict[str, tuple[CodeType | None, int]] = {}


def uid_of(endpoint: Callable[..., Any]) -> str:
    """The endpoint's dotted name as a uid, with a number if the name is taken.

    Raises:
        TypeError: the endpoint has no name.
    """
    return numbered(dotted_name(endpoint), endpoint.__module__, defining_code())


def dotted_name(endpoint: Callable[..., Any]) -> str:
    """The endpoint's module and name.

    Raises:
        TypeError: it has no name.
    """
    name = getattr(endpoint, "__qualname__", None)
    if name is None:
        raise TypeError(f"{describe(endpoint)} has no name to make a uid of: throttled(…, uid=…)")
    return f"{endpoint.__module__}.{name}"


def defining_code() -> Origin:
    """The code outside this library that is running now."""
    found: dict[str, CodeType] = {}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in _OURS:
            found.setdefault(module, frame.f_code)
        frame = frame.f_back
    return found


def numbered(name: str, module: str, origin: Origin) -> str:
    """`name` as a uid, with a number if the same code has defined it before.

    Args:
        name: a dotted name.
        module: the module that defines the function or class.
        origin: the code that ran when it was defined.
    """
    code = origin.get(module) or next(iter(origin.values()), None)
    known, count = _last.get(name, (None, 0))
    count = count + 1 if count and known is code else 1
    _last[name] = code, count
    suffix = f"#{count}" if 1 < count <= _MOST else ""
    return name[len(suffix) - MAX_LENGTH :] + suffix


_OURS: Final = {"traffik", "traffik_aiohttp", "traffik_asgi", "traffik_django", "traffik_starlette", "traffik_wsgi"}
