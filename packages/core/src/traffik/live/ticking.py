"""A thread that calls a function about once a second. It starts when it is first needed, and again after a fork."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

__all__ = ["Ticker"]

_INTERVAL: Final = 1.0

_log: Final = logging.getLogger("traffik.live")


class Ticker:
    """Calls a function about once a second, in a thread.

    Args:
        tick: the function. If it raises, the error is logged, but not again before it has worked once.
    """

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self.reset()

    def reset(self) -> None:
        """Start without a thread: at first, and in a forked process."""
        self._thread: threading.Thread | None = None
        self._soon = threading.Event()
        self._closed = False
        self._failing = False
        self._begun = self._ended = 0
        self._round = threading.Condition()
        self._lock = threading.RLock()  # a signal handler may hit while its thread holds it

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is not None or self._closed:
            return
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="traffik live page", daemon=True)
                with suppress(RuntimeError):  # the program ends, or there are too many threads
                    thread.start()
                    self._thread = thread

    def hurry(self) -> None:
        """Call the function now, and not only at the end of the second."""
        self._soon.set()

    def catch_up(self, timeout: float = _INTERVAL) -> None:
        """Call the function now, and wait until that call has ended, at most `timeout` seconds."""
        if self._thread is None or self._closed:
            return
        with self._round:
            wanted = self._begun + 1
            self.hurry()
            self._round.wait_for(lambda: self._ended >= wanted, timeout)

    def close(self) -> None:
        """End the thread, and wait for it."""
        self._closed = True
        self._soon.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5)

    def _work(self) -> None:
        while not self._closed:
            self._soon.wait(_INTERVAL)
            self._soon.clear()
            self._begun += 1
            try:
                self._tick()
            except Exception:  # noqa: BLE001 - a store may raise anything, and the page must go on
                if not self._failing:
                    _log.exception("the live page could not be brought up to date; it tries again every second")
                self._failing = True
            else:
                self._failing = False
            with self._round:
                self._ended = self._begun
                self._round.notify_all()
