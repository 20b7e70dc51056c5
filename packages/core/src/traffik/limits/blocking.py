"""Calls to a store that block: sync code may make them anywhere but in an event loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from traffik.backends.base import Calls
from traffik.notices import misconfiguration

__all__ = ["blocking"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def blocking(uid: str, calls: Calls) -> Calls:
    """Blocking calls that warn if they block an event loop."""

    def watched(call: Callable[_P, _T]) -> Callable[_P, _T]:
        def watching(*arguments: _P.args, **named: _P.kwargs) -> _T:
            if _in_event_loop():
                misconfiguration.waiting_on_a_loop(uid)
            return call(*arguments, **named)

        return watching

    return Calls(watched(calls.charge), watched(calls.read), watched(calls.reset), calls.account)


def _in_event_loop() -> bool:
    """Whether this thread runs an event loop of asyncio. It does not if asyncio has never been imported."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None
