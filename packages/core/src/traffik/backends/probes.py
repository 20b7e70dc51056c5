"""Samples of the duration of store calls, and of the number of hits in a call. Taken only while a sink wants them.

Of the charges of a store a few are timed, then none until the sink has taken the samples and calls `StoreProbe.resume`.
While none is timed, a charge costs nothing more. Of the other calls, at most twenty a second are sampled. A sink
takes longer for a sample than a hit does in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import Any, Final, TypeAlias, TypeVar

from traffik.backends import binding

__all__ = ["SampleSink", "StoreProbe", "probe_for", "sample_stores", "stop_sampling"]

_T = TypeVar("_T")

_Store: TypeAlias = Any
"""A `traffik.backends.base.Backend`, which is built on this module and so cannot be named in it."""

_Calls: TypeAlias = Any
"""`traffik.backends.base.Calls`, for the same reason."""

SampleSink: TypeAlias = Callable[[_Store, str, int], None]
"""Called with a store, and with ``"duration"`` and ns or ``"batch"`` and a number of hits. It does not wait.

Once it has taken a duration, it calls `StoreProbe.resume` of the store, at most ten times a second.
"""

_PAUSE: Final = 50_000_000
"""ns between two samples of one kind."""

_IN_A_ROW: Final = 2
"""Charges of one store that are timed one after another."""

_sinks: list[SampleSink] = []


class StoreProbe:
    """Takes the samples of one store.

    Args:
        store: the store.
    """

    __slots__ = ("_batch_due", "_due", "_left", "_paused", "_store")

    def __init__(self, store: _Store) -> None:
        self._store = store
        self._due = self._batch_due = 0
        self._left = _IN_A_ROW
        self._paused: list[Callable[[], None]] = []

    def watch(self, calls: _Calls) -> None:
        """Time charges of `calls` while there are some to time, then none until `resume`: those cost nothing more."""
        charge = calls.charge

        def begin() -> None:
            object.__setattr__(calls, "charge", timed)

        def timed(key: str, cost: int) -> object:
            if self._left > 0:
                self._left -= 1
                return self._timed(perf_counter_ns(), charge, key, cost)
            object.__setattr__(calls, "charge", charge)
            self._paused.append(begin)
            return charge(key, cost)

        begin()

    def resume(self) -> None:
        """Time the next few charges of the store. A sink has this called, off the path of a hit."""
        paused, self._paused = self._paused, []
        self._left = _IN_A_ROW
        for begin in paused:
            begin()

    def call(self, function: Callable[..., _T | Awaitable[_T]], *arguments: Any, **named: Any) -> _T | Awaitable[_T]:
        """Call a function of the store, and time it if a sample is due."""
        began = perf_counter_ns()
        if began < self._due:
            return function(*arguments, **named)
        self._due = began + _PAUSE
        return self._timed(began, function, *arguments, **named)

    def sent(self, hits: int) -> None:
        """Take a sample of a batch of so many hits, if one is due."""
        now = perf_counter_ns()
        if now >= self._batch_due:
            self._batch_due = now + _PAUSE
            self._note("batch", hits)

    def _timed(
        self, began: int, function: Callable[..., _T | Awaitable[_T]], *arguments: Any, **named: Any
    ) -> _T | Awaitable[_T]:
        answer = function(*arguments, **named)
        if isinstance(answer, Awaitable):
            return self._awaited(began, answer)
        self._note("duration", perf_counter_ns() - began)
        return answer

    async def _awaited(self, began: int, answer: Awaitable[_T]) -> _T:
        found = await answer
        self._note("duration", perf_counter_ns() - began)
        return found

    def _note(self, kind: str, value: int) -> None:
        for sink in tuple(_sinks):
            sink(self._store, kind, value)


def probe_for(store: _Store) -> StoreProbe | None:
    """The probe of a new store; None while nothing asks for samples."""
    return StoreProbe(store) if _sinks else None


def sample_stores(sink: SampleSink) -> None:
    """Give `sink` samples of every store, also of those made later."""
    with binding.lock:
        _sinks.append(sink)
        _refresh()


def stop_sampling(sink: SampleSink) -> None:
    """Give `sink` no more samples."""
    with binding.lock:
        if sink in _sinks:
            _sinks.remove(sink)
            _refresh()


def _refresh() -> None:
    for store in binding.stores_made():
        store.probe = probe_for(store)
    binding.notify_subscribers()
