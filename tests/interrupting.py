"""Interrupts a call at each point where a signal handler of Python may run, and so may raise an error.

These points are the beginning of each function and the end of each call of a function in C, where a profiler is called
too. An error of the profiler is raised there, as that of a signal handler. Functions of other packages are left out.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from threading import Thread
from typing import Any


class Interrupted(BaseException):
    """The error of a signal handler, such as KeyboardInterrupt or SystemExit."""


def each_interrupt(call: Callable[[], object]) -> Iterator[int]:
    """Call until no point is left, interrupted once each time. Yields the number of the point after each interrupt."""
    for point in count():
        if not _interrupt(call, point):
            return
        yield point


def _interrupt(call: Callable[[], object], point: int) -> bool:
    """Whether the call was interrupted."""
    left = point

    def profile(frame: Any, event: str, _argument: Any) -> None:
        nonlocal left
        if event in {"call", "c_return"} and "traffik" in frame.f_globals["__name__"]:
            left -= 1
            if left < 0:
                sys.setprofile(None)
                raise Interrupted

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited")
        try:
            sys.setprofile(profile)
            call()
        except Interrupted:
            return True
        finally:
            sys.setprofile(None)
    return False


def in_thread(call: Callable[[], object]) -> Any:
    """The result of a call in another thread."""
    found: list[object] = []
    thread = Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]
