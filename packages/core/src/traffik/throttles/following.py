"""Follow a file of limits: when it changes, its throttles use the new rates without a restart.

    throttles = load_throttles("limits.toml")
    with following("limits.toml", throttles):
        ...  # serve

The whole file is checked before anything changes. A file with an error changes nothing, and the error is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from traffik.limits.tiers import Tiers
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError
from traffik.throttles.files import read_limits, tiers_of

if TYPE_CHECKING:
    from traffik.throttles.entries import LimitEntry
    from traffik.throttles.throttle import Throttle

__all__ = ["FollowedLimits", "following"]

_log: Final = logging.getLogger("traffik.limits")


class FollowedLimits:
    """A file of limits and the throttles that `load_throttles` made from it.

    Args:
        path: the path of the file.
        throttles: the throttles by their uids.

    Raises:
        ConfigurationError: the file cannot be read, or has an error.
    """

    def __init__(self, path: str | Path, throttles: Mapping[str, Throttle[Any]]) -> None:
        self.path: Path = Path(path)
        self.throttles = throttles
        self._stamp = self._stamp_now()
        self._entries = self._read()

    def refresh(self) -> list[str]:
        """Read the file, and use its rates from now on. Returns the uids whose rate has changed.

        Other changes need a restart. A warning about them is logged.

        Raises:
            ConfigurationError: the file cannot be read, or has an error. Nothing is changed then. Or the tiers of a
                throttle have calendar periods where they had lengths of time, or the reverse, which needs a restart.
        """
        self._stamp = self._stamp_now()
        before, self._entries = self._entries, self._read()
        changed = []
        for uid in before.keys() | self._entries.keys():
            old, new = before.get(uid), self._entries.get(uid)
            if old is None or new is None or uid not in self.throttles:
                _log.warning("%s: %r was added or removed: this takes effect after a restart", self.path, uid)
                continue
            same_kind, updated = bool(old.tiers) == bool(new.tiers), old.with_rates_of(new)
            if replace(updated, line=new.line) != new or not same_kind:
                _log.warning(
                    "%s:%d: %r has changed in more than its rate: this takes effect after a restart",
                    self.path,
                    new.line,
                    uid,
                )
            if same_kind and updated != old:
                self._update(self.throttles[uid], new)
                changed.append(uid)
                self._tell(self.throttles[uid], new)
        return sorted(changed)

    def _update(self, throttle: Throttle[Any], new: LimitEntry) -> None:
        if isinstance(throttle.rate, Tiers):
            throttle.update(rate=tiers_of(new, throttle.rate.tier.function))
        else:
            throttle.update(rate=new.rates or "unlimited")

    def _tell(self, throttle: Throttle[Any], new: LimitEntry) -> None:
        """Log the new rate of a throttle. A rate that was changed for all processes stays in force."""
        text = "; ".join(map(str, new.rates)) or "unlimited"
        if new.tiers or throttle.rate_text == text:
            rate = throttle.rate if new.tiers else text
            _log.info("%s:%d: the rate of %r is now %s", self.path, new.line, new.uid, rate)
        else:
            _log.warning(
                "%s:%d: the rate of %r stays %s, which was set for all processes: %s counts once that is withdrawn",
                *(self.path, new.line, new.uid, throttle.rate_text, text),
            )

    def refresh_if_changed(self) -> None:
        """`refresh` if the time or size of the file has changed. An error is logged, and changes nothing."""
        if self._stamp_now() == self._stamp:
            return
        try:
            self.refresh()
        except ConfigurationError as error:
            _log.error("the limits stay as they were: %s", error)

    def _read(self) -> dict[str, LimitEntry]:
        return {entry.uid: entry for entry in read_limits(self.path)}

    def _stamp_now(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0, 0
        return found.st_mtime_ns, found.st_size, found.st_ino


@contextmanager
def following(
    path: str | Path, throttles: Mapping[str, Throttle[Any]], *, every: float = 1.0
) -> Generator[FollowedLimits, None, None]:
    """Follow a file of limits in a thread, until the ``with`` block ends.

    Args:
        path: the path of the file.
        throttles: the throttles by their uids, as `load_throttles` returns them.
        every: the seconds between two checks of the file, above 0.

    Raises:
        ConfigurationError: the file cannot be read, or has an error.
        ValueError: `every` is not a number of seconds above 0.
    """
    if isinstance(every, bool) or not isinstance(every, int | float) or not every > 0:
        raise ValueError(f"every is a number of seconds above 0, not {describe(every)}")
    limits, over = FollowedLimits(path, throttles), Event()

    def follow() -> None:
        while not over.wait(every):
            limits.refresh_if_changed()

    thread = Thread(target=follow, name="traffik.limits", daemon=True)
    thread.start()
    try:
        yield limits
    finally:
        over.set()
        thread.join()
