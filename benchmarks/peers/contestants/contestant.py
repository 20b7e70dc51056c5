"""What a limiter is to the comparison: the same parts in the same places for all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Answer", "App", "Contestant", "DjangoPart", "Hit", "Make", "MakeSync"]

Answer: TypeAlias = tuple[bool, float | None]
"""Whether a hit is admitted, and the seconds to wait, None if the limiter does not tell."""

Hit: TypeAlias = Callable[[str], Awaitable[Answer]]
"""One hit of a client."""

Make: TypeAlias = Callable[[int, str | None], Awaitable[Hit]]
"""``make(limit, url)``: a hit for a limit a minute, in that Redis or in memory. NotImplementedError has a reason."""

MakeSync: TypeAlias = Callable[[int], Callable[[str], Any]]
"""``make(limit)``: a hit in sync code, in memory."""

App: TypeAlias = Callable[[int, str | None], Any]
"""``app(limit, url)``: an application whose only route, ``/``, is limited. For Django a `DjangoPart`."""


@dataclass(frozen=True, slots=True)
class DjangoPart:
    """What a project with one view needs.

    Attributes:
        decorators: returns the decorator of a sync view, and that of an async one. Called when the settings are known.
        settings: of the project.
    """

    decorators: Callable[[], tuple[Callable[[Any], Any], Callable[[Any], Any]]]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contestant:
    """One limiter with one algorithm.

    Attributes:
        name: of the project.
        algorithm: the one that is used, in its project's words.
        distribution: its name on the package index.
        statement: imports what a program of its documentation imports.
        hit: makes hits; or the reason why there is no hit without a framework.
        hit_sync: makes hits in sync code; or the reason why it cannot.
        apps: makes an application, by the name of the framework.
        keyless: why it keeps nothing for each client.
        forgets: why its memory does not grow with the clients.
    """

    name: str
    algorithm: str
    distribution: str
    statement: str
    hit: Make | str
    hit_sync: MakeSync | str
    apps: Mapping[str, App] = field(default_factory=dict)
    keyless: str = ""
    forgets: str = ""

    @property
    def key(self) -> str:
        """Its name in the results."""
        return f"{self.name}, {self.algorithm}"
