"""Finds the store for a throttle without a `backend`.

It is the store of the application, else the only open store, else the only existing store. In any other case, an error
lists the candidates. Stores are registered here when they are made, and bound to applications by a lifespan.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final, Protocol, TypeAlias
from weakref import WeakSet

from traffik.model.errors import BackendNotFoundError

__all__ = [
    "ADVICE",
    "Watcher",
    "add_watcher",
    "any_open",
    "bound",
    "closed",
    "hide",
    "is_open",
    "lock",
    "made",
    "notify_subscribers",
    "open_one",
    "opened",
    "resolve",
    "stores_made",
]


_Backend: TypeAlias = Any
"""A `traffik.backends.base.Backend`. Its module imports this one, so it cannot be imported here."""


ADVICE: Final = (
    "give a store, such as backend = InMemoryBackend(), to the limit (backend=backend), or open one (with backend:)"
)
"""The end of the error message for a missing store, outside any framework."""


class Watcher(Protocol):
    """An object that is notified when stores open or close.

    Attributes:
        backend: the only store that it depends on; None if it depends on `open_one`.
    """

    @property
    def backend(self) -> _Backend | None: ...

    def refresh(self) -> None:
        """Called after a change, under a lock. It must not open or close a store."""


lock: Final = RLock()
"""Held while a store is opened or closed and the watchers refresh. A store may acquire its own lock inside it."""

_made: WeakSet[_Backend] = WeakSet()
_open: dict[_Backend, int] = {}
_watchers: WeakSet[Watcher] = WeakSet()
# By the id of the application, since some cannot be hashed. The application is stored too, so the id is not reused.
_own: dict[int, tuple[object, list[_Backend]]] = {}
_inherited: dict[int, tuple[object, list[_Backend]]] = {}


def made(backend: _Backend) -> None:
    """Register a store, until it is deleted."""
    _made.add(backend)


def stores_made() -> tuple[_Backend, ...]:
    """All existing stores, but those that are part of another store."""
    return tuple(_made)


def hide(backend: _Backend) -> None:
    """Remove a store that is part of another store from the candidates."""
    _made.discard(backend)


def add_watcher(watcher: Watcher) -> None:
    """Refresh `watcher` now, and after each opening or closing of a store it depends on, until it is deleted."""
    with lock:
        _watchers.add(watcher)
        watcher.refresh()


def opened(backend: _Backend) -> bool:
    """Count an opening. Returns whether it is the first."""
    with lock:
        _open[backend] = _open.get(backend, 0) + 1
        first = _open[backend] == 1
        if first:
            _notify_of(backend)
        return first


def closed(backend: _Backend) -> bool:
    """Count a closing. Returns whether it is the last."""
    with lock:
        _open[backend] -= 1
        last = _open[backend] == 0
        if last:
            del _open[backend]
            _notify_of(backend)
        return last


def notify_subscribers() -> None:
    """Refresh all watchers."""
    with lock:
        for watcher in tuple(_watchers):
            watcher.refresh()


def _notify_of(backend: _Backend) -> None:
    """Refresh the watchers that depend on a store which has opened or closed."""
    for watcher in tuple(_watchers):
        if watcher.backend is None or watcher.backend is backend:
            watcher.refresh()


@contextmanager
def bound(backend: _Backend, app: object, mounted: Sequence[object]) -> Generator[None, None, None]:
    """Bind `backend` to `app`, and to the applications mounted in it that have no store themselves."""
    places = [(_own, app)] * (app is not None) + [(_inherited, each) for each in mounted]
    with lock:
        for table, place in places:
            table.setdefault(id(place), (place, []))[1].append(backend)
    try:
        yield
    finally:
        with lock:
            for table, place in places:
                backends = table[id(place)][1]
                backends.remove(backend)
                if not backends:
                    del table[id(place)]


def any_open() -> bool:
    """Whether any store is open."""
    return bool(_open)


def is_open(backend: _Backend) -> bool:
    """Whether `backend` is open."""
    return backend in _open


def open_one() -> _Backend | None:
    """The only open store; None if there is none or more than one."""
    return next(iter(_open)) if len(_open) == 1 else None


def resolve(app: object, advice: str = ADVICE) -> _Backend:
    """The store to use in an application.

    Args:
        app: the application; None outside any.
        advice: the end of the error message: how to set up a store, as a phrase that begins with a verb.

    Raises:
        BackendNotFoundError: there is no store, or it is unclear which one to use.
    """
    found = _own.get(id(app)) or _inherited.get(id(app))
    if found is not None:
        return found[1][-1]
    candidates = list(_open) or list(_made)
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise BackendNotFoundError(f"there is no store to count in: {advice}")
    seen = "several stores are open" if _open else "several stores exist and none of them is open"
    raise BackendNotFoundError(f"{seen}: {', '.join(map(repr, candidates))}; {advice}")
