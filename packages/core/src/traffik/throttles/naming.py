"""Uids for throttles that a decorator makes: the dotted name of the function, and a number if it is defined again.

Two functions may have one dotted name: a factory runs twice, a module defines a name twice, or another decorator has
replaced both. Each gets its own quota, so the uid of the second one ends in ``#2``. If a module is loaded again, its
functions keep their uids. The cases differ in the code that runs the decorator: a factory runs the same code again, and
loading a module again runs new code of the same name. Numbers follow the order of the definitions, so the workers of a
server agree about them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Place:
    """Code that has defined a name.

    Attributes:
        numbers: the numbers of its definitions, in their order.
        code: the code that ran the last time.
        used: how many of the numbers that code has taken.
    """

    numbers: list[int] = field(default_factory=list)
    code: CodeType | None = None
    used: int = 0


_places: dict[str, dict[tuple[str, str], _Place]] = {}
"""For each dotted name, the places that define it, by module and name of the code."""


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
    """`name` as a uid, with a number if it is not the first definition.

    Args:
        name: a dotted name.
        module: the module that defines the function or class.
        origin: the code that ran when it was defined.
    """
    running = module if module in origin else next(iter(origin), "")
    code = origin.get(running)
    places = _places.setdefault(name, {})
    place = places.setdefault((running, "" if code is None else code.co_qualname), _Place())
    if place.code is not code:
        place.code, place.used = code, 0
    number = _next_number(places, place)
    suffix = f"#{number}" if number > 1 else ""
    return name[len(suffix) - MAX_LENGTH :] + suffix


def _next_number(places: Mapping[tuple[str, str], _Place], place: _Place) -> int:
    """The number of the next definition at one of the places: the one it had before, or a new one."""
    if place.used == len(place.numbers):
        count = sum(len(each.numbers) for each in places.values())
        if count >= _MOST:
            return 1
        place.numbers.append(count + 1)
    place.used += 1
    return place.numbers[place.used - 1]


_OURS: Final = {"traffik", "traffik_aiohttp", "traffik_asgi", "traffik_django", "traffik_starlette", "traffik_wsgi"}
