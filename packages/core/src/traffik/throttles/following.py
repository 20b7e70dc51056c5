"""Follow a file of limits: when it changes, its throttles use the new rates without a restart.

    throttles = load_throttles("limits.toml")
    with following("limits.toml", throttles):
        ...  # serve

The whole file is checked before anything changes. A file with an error changes nothing, and the error is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from collections.abc import Set as AbstractSet
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
        self._entries = self._read()  # the last entry of each uid, even if the file has none now
        self._present: AbstractSet[str] = self._entries.keys()

    def refresh(self) -> list[str]:
        """Read the file, and use its rates from now on. Returns the uids whose rate has changed.

        Other changes need a restart. A warning about them is logged.

        Raises:
            ConfigurationError: the file cannot be read, or has an error. Nothing is changed then. Or the tiers of a
                throttle have calendar periods where they had lengths of time, or the reverse, which needs a restart.
        """
        self._stamp = self._stamp_now()
        entries = self._read()
        self._compare_uids(entries)
        changed: list[str] = []
        failed: ConfigurationError | None = None
        for uid, new in entries.items():
            try:
                if uid in self.throttles and uid in self._entries and self._follow(self._entries[uid], new):
                    changed.append(uid)
            except ConfigurationError as error:  # raised once all others have their rates
                failed = failed or error
            else:
                self._entries = {**self._entries, uid: new}
        if failed is not None:
            raise failed
        return sorted(changed)

    def _compare_uids(self, entries: Mapping[str, LimitEntry]) -> None:
        before, self._present = self._present, entries.keys()
        for uid in sorted((before - entries.keys()) | (entries.keys() - before - self.throttles.keys())):
            _log.warning("%s: %r was added or removed: this takes effect after a restart", self.path, uid)

    def _follow(self, old: LimitEntry, new: LimitEntry) -> bool:
        """Use the rate of a new entry. Returns whether it is another one."""
        same_kind, updated = bool(old.tiers) == bool(new.tiers), old.with_rates_of(new)
        if replace(updated, line=new.line) != new or not same_kind:
            _log.warning(
                "%s:%d: %r has changed in more than its rate: this takes effect after a restart",
                *(self.path, new.line, new.uid),
            )
        if not same_kind or updated == old:
            return False
        self._update(self.throttles[new.uid], new)
        self._tell(self.throttles[new.uid], new)
        return True

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
        if self.path.is_fifo():
            raise ConfigurationError(f"cannot read {self.path}: it is a pipe, which would have to be waited for")
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
            try:
                limits.refresh_if_changed()
            except Exception:  # noqa: BLE001 - so that the thread goes on
                _log.exception("%s could not be followed", path)

    thread = Thread(target=follow, name="traffik.limits", daemon=True)
    thread.start()
    try:
        yield limits
    finally:
        over.set()
        thread.join()
