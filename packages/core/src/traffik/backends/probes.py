"""Samples of how long a store takes, and how many hits share a call to it. Taken only while something asks for them.

A probe takes at most a thousand samples of each kind a second, so that even a store in memory is hardly slower.
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

SampleSink: TypeAlias = Callable[[_Store, str, int], None]
"""Called with a store, and with ``"duration"`` and ns or ``"batch"`` and a number of hits. It does not wait."""

_PAUSE: Final = 1_000_000
"""ns between two samples of one kind."""

_PASSED_BY: Final = 63
"""Calls to a store in memory that go by without a look at the clock."""

_sinks: list[SampleSink] = []


class StoreProbe:
    """Takes the samples of one store.

    Args:
        store: the store.
    """

    __slots__ = ("_batch_due", "_due", "_store")

    def __init__(self, store: _Store) -> None:
        self._store = store
        self._due = self._batch_due = 0

    def timing(self, charge: Callable[[str, int], _T | Awaitable[_T]]) -> Callable[[str, int], _T | Awaitable[_T]]:
        """`charge`, with some of its calls timed."""
        pass_by = _PASSED_BY if self._store.in_process else 0
        left = 0

        def timed(key: str, cost: int) -> _T | Awaitable[_T]:
            nonlocal left
            if left:  # in memory, to look at the clock takes a good part of the time of a call
                left -= 1
                return charge(key, cost)
            left = pass_by
            began = perf_counter_ns()
            return charge(key, cost) if began < self._due else self._timed(began, charge, key, cost)

        return timed

    def call(self, function: Callable[..., _T | Awaitable[_T]], *arguments: Any, **named: Any) -> _T | Awaitable[_T]:
        """Call a function of the store, and time it if a sample is due."""
        began = perf_counter_ns()
        if began < self._due:
            return function(*arguments, **named)
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
        self._due = began + _PAUSE
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
