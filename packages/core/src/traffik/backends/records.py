"""A small record in a store, beside usage, that all processes of a namespace share. It holds the changes of limits.

A process follows the record of each store that it uses: a thread reads it from time to time, so a hit never does. The
thread starts when the store is opened, or at the first hit in a store that is not. Forked processes start their own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from threading import Event, RLock, Thread, current_thread
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable
from weakref import WeakSet, ref

from traffik.model.errors import BackendError, ConfigurationError

__all__ = ["Reader", "RecordBackend", "SharedRecord", "read_with"]

_Store: TypeAlias = Any
"""A `traffik.backends.base.Backend`, which is built on this module and so cannot be named in it."""

Reader: TypeAlias = Callable[[_Store, "bytes | None"], None]
"""Called with a store and the new value of its record; None if there is none."""

_PART: Final = 0.75
"""The pause between two reads, as a part of the time within which a change is followed. The rest is for the read."""

_PATIENCE: Final = 1.0
"""Seconds that the opening and the closing of a store wait for the thread, at most."""

_NAME: Final = "traffik changes"
"""The name of the threads."""

_log: Final = logging.getLogger("traffik.limits")

_readers: Final[list[Reader]] = []


@runtime_checkable
class RecordBackend(Protocol):
    """A store that can keep a record. Its calls use neither the connections nor the breaker of hits."""

    def read_record_sync(self) -> bytes | None:
        """The record of the namespace; None if there is none.

        Raises:
            BackendError: the store does not answer.
        """
        ...

    def swap_record_sync(self, before: bytes | None, after: bytes) -> bool:
        """Write the record if it is still `before`, in one atomic step; whether it was. Errors as for a read."""
        ...


def read_with(reader: Reader) -> None:
    """Call `reader` with each new value of the record of each store that this process uses."""
    _readers.append(reader)


class SharedRecord:
    """The record of one store, as this process follows it.

    Args:
        store: the store.
        within: seconds within which this process follows a change of the record; None to not follow.

    Attributes:
        within: as given.
        followed: whether there is nothing to start: a thread follows it, or no other process can change it.

    Raises:
        ValueError: `within` is not a number of seconds above 0.
    """

    def __init__(self, store: _Store, within: float | None) -> None:
        if within is not None and (isinstance(within, bool) or not isinstance(within, int | float) or not within > 0):
            raise ValueError(f"changes_within is a number of seconds above 0, or None, not {within!r}")
        self.within = within
        self._store = ref(store)
        self._pause = None if within is None else within * _PART
        self._value: bytes | None = None
        self._writes = 0
        self._thread: Thread | None = None
        self._begin()

    def _begin(self) -> None:
        """Start without a thread: for a new store, and in a forked process."""
        self._lock = RLock()
        self._over = Event()
        self._read = Event()
        store: _Store = self._store()
        self.followed = self._pause is None or store.in_process or not isinstance(store, RecordBackend)

    def follow(self) -> None:
        """Follow the record from now on, unless it is followed already."""
        if self.followed:
            return
        with self._lock:
            if not self.followed:
                self.followed = True
                _follow_after_forks(type(self._store()))
                _running.add(self)
                self._thread = Thread(target=self._run, args=(self._over, self._read), name=_NAME, daemon=True)
                self._thread.start()

    @property
    def pending(self) -> bool:
        """Whether a thread follows it, and has not read it yet."""
        return self._thread is not None and not self._read.is_set()

    def wait(self) -> None:
        """Wait until it is not `pending`, for a second at most."""
        if self.pending:
            self._read.wait(_PATIENCE)

    def stop(self) -> None:
        """Do not follow the record any more. A store that can keep one calls this first when it is closed."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._over.set()
            _running.discard(self)
        if thread is not None and thread is not current_thread():
            thread.join(_PATIENCE)
        self._begin()

    def load(self) -> bytes | None:
        """The record in the store now.

        Raises:
            ConfigurationError: the store cannot keep a record.
            BackendError: the store does not answer.
        """
        return self._keeper().read_record_sync()

    def swap(self, before: bytes | None, after: bytes) -> bool:
        """Write the record if it is still `before`, and call the readers. Returns whether it was. Errors as `load`."""
        store = self._keeper()
        if not store.swap_record_sync(before, after):
            return False
        with self._lock:
            self._writes += 1
            self._announce(store, after)
        return True

    def _keeper(self) -> RecordBackend:
        store = self._store()
        if not isinstance(store, RecordBackend):
            raise ConfigurationError(
                f"{store!r} cannot pass a change on to other processes: it needs the methods of "
                f"traffik.backends.records.RecordBackend"
            )
        return store

    def _run(self, over: Event, read: Event) -> None:
        while self._refresh(over):
            read.set()
            if over.wait(self._pause):
                return

    def _refresh(self, over: Event) -> bool:
        """Read the record, and call the readers if it is another one than before. False if the store is gone."""
        store = self._store()
        if store is None:
            return False
        writes = self._writes
        try:
            value = store.read_record_sync()
        except BackendError:
            return True  # it is read again after the pause
        except Exception:  # noqa: BLE001 - so that the thread goes on
            _log.exception("the changes of limits in %r could not be read", store)
            return True
        with self._lock:
            # what was read before this process wrote would take its own change back
            if writes == self._writes and value != self._value and not over.is_set():
                self._announce(store, value)
        return True

    def _announce(self, store: _Store, value: bytes | None) -> None:
        self._value = value
        for reader in _readers:
            try:
                reader(store, value)
            except Exception:  # noqa: BLE001 - so that the other readers are called
                _log.exception("a change of limits in %r could not be followed", store)


_running: Final[WeakSet[SharedRecord]] = WeakSet()
"""The records that a thread follows."""


_kinds: Final[set[type]] = set()
"""The classes of stores of which a record has been followed."""


def _follow_after_forks(kind: type) -> None:
    """Let forked processes follow the records of stores of this class.

    Forked processes call functions in the order in which they were registered. The module of a store has registered
    its own before, so the store has left the connections of its parent when a thread uses it again.
    """
    if kind not in _kinds and hasattr(os, "register_at_fork"):
        _kinds.add(kind)
        os.register_at_fork(after_in_child=partial(_after_fork_in_child, kind))


def _after_fork_in_child(kind: type) -> None:
    for record in tuple(_running):
        if type(record._store()) is kind:
            _running.discard(record)
            record._thread = None
            record._begin()
            record.follow()
