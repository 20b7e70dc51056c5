"""Finds the store of a throttle that was given none.

It is the application's own store, else the only open one, else the only existing one. Otherwise an error lists the
stores to choose from. Stores are known here once they are made, applications while a lifespan binds them.
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
    "subscribe",
]


_Backend: TypeAlias = Any
"""A `traffik.backends.base.Backend`. That module imports this one, so its class cannot be imported here."""


ADVICE: Final = (
    "give a store, such as backend = InMemoryBackend(), to the limit (backend=backend), or open one (with backend:)"
)
"""The advice for a missing store, outside any framework."""


class Watcher(Protocol):
    """An object that caches results of `open_one`, and has to update them when a store opens or closes."""

    def refresh(self) -> None:
        """Update the cached results. It is called under a lock, so it must not open or close a store."""


lock = RLock()
"""Held while a store opens or closes and its watchers are refreshed. A store's own lock may be taken inside it."""

_made: WeakSet[_Backend] = WeakSet()
_open: dict[_Backend, int] = {}
_watchers: WeakSet[Watcher] = WeakSet()
# By the identity of an application, since not every one can be hashed; it is kept too, so that it keeps its identity.
_own: dict[int, tuple[object, list[_Backend]]] = {}
_inherited: dict[int, tuple[object, list[_Backend]]] = {}


def made(backend: _Backend) -> None:
    """Remember `backend`, as long as something else refers to it."""
    _made.add(backend)


def hide(backend: _Backend) -> None:
    """Forget `backend`, which is a part of another store."""
    _made.discard(backend)


def subscribe(watcher: Watcher) -> None:
    """Refresh `watcher` now, and after each opening or closing of a store, as long as something else refers to it."""
    with lock:
        _watchers.add(watcher)
        watcher.refresh()


def opened(backend: _Backend) -> bool:
    """Count an opening. Returns whether it is the first."""
    with lock:
        _open[backend] = _open.get(backend, 0) + 1
        first = _open[backend] == 1
        if first:
            notify_subscribers()
        return first


def closed(backend: _Backend) -> bool:
    """Count a closing. Returns whether it is the last."""
    with lock:
        _open[backend] -= 1
        last = _open[backend] == 0
        if last:
            del _open[backend]
            notify_subscribers()
        return last


def notify_subscribers() -> None:
    """Refresh all watchers."""
    with lock:
        for watcher in tuple(_watchers):
            watcher.refresh()


@contextmanager
def bound(backend: _Backend, app: object, mounted: Sequence[object]) -> Generator[None, None, None]:
    """Bind `backend` to `app`, and to the applications mounted in it that have no store of their own."""
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
    """The store to use in `app` (None: outside any application).

    Args:
        app: the application.
        advice: what to do if there is none, for the error: a phrase that begins with a verb.

    Raises:
        BackendNotFoundError: there is no store, or more than one to choose from.
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
