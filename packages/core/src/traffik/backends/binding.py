"""Which store a throttle means that names none.

The application's own store, else the only open one, else the only one there is; anything else is an error that lists
what could be meant. Stores are known here from their making, applications for as long as a lifespan binds them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

from traffik.errors import BackendNotFoundError

if TYPE_CHECKING:
    from traffik.backends.base import Backend

__all__ = ["bound", "changes", "closed", "made", "open_one", "opened", "resolve"]

changes = 0
"""Counts every opening and closing, so that what was found out before one can be known to be stale."""

_lock = Lock()
_made: WeakSet[Backend] = WeakSet()
_open: dict[Backend, int] = {}
_own: dict[object, list[Backend]] = {}
_inherited: dict[object, list[Backend]] = {}


def made(backend: Backend) -> None:
    """Know of `backend` from now on, as long as somebody holds it."""
    _made.add(backend)


def opened(backend: Backend) -> bool:
    """Count an opening; whether it is the first."""
    global changes  # noqa: PLW0603 - a counter that others read as an attribute of this module
    with _lock:
        changes += 1
        _open[backend] = _open.get(backend, 0) + 1
        return _open[backend] == 1


def closed(backend: Backend) -> bool:
    """Count a closing; whether it is the last."""
    global changes  # noqa: PLW0603 - a counter that others read as an attribute of this module
    with _lock:
        changes += 1
        _open[backend] -= 1
        if _open[backend]:
            return False
        del _open[backend]
        return True


@contextmanager
def bound(backend: Backend, app: object, mounted: Sequence[object]) -> Generator[None, None, None]:
    """Bind `backend` to `app`, and to the applications mounted in it that have no store of their own."""
    places = [(_own, app)] * (app is not None) + [(_inherited, each) for each in mounted]
    with _lock:
        for table, place in places:
            table.setdefault(place, []).append(backend)
    try:
        yield
    finally:
        with _lock:
            for table, place in places:
                table[place].remove(backend)
                if not table[place]:
                    del table[place]


def open_one() -> Backend | None:
    """The only open store; None if there is none or more than one."""
    return next(iter(_open)) if len(_open) == 1 else None


def resolve(app: object) -> Backend:
    """The store meant in `app` (None: outside any application).

    Raises:
        BackendNotFoundError: none, or more than one, could be meant.
    """
    stack = _own.get(app) or _inherited.get(app)
    if stack:
        return stack[-1]
    candidates = list(_open) or list(_made)
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise BackendNotFoundError(
            "no store: make one, such as backend = InMemoryBackend(), and give it to the application "
            "(lifespan=backend.lifespan) or to the throttle (backend=backend)"
        )
    raise BackendNotFoundError(
        f"several stores could be meant: {', '.join(map(repr, candidates))}; give one to the application "
        f"(lifespan=backend.lifespan) or to the throttle (backend=backend)"
    )
