"""The rates that this process follows: those that were changed in a store, for all processes that count there.

Until it is withdrawn, a change in the store overrides the rate that the application or `limits.toml` gives a limit.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from traffik.backends import binding
from traffik.backends.records import read_with
from traffik.events.changes import publish_change
from traffik.limits import uids
from traffik.limits.change_records import ChangeRecord
from traffik.model.errors import TraffikError
from traffik.model.rates import parse_rates
from traffik.strategies import plan

if TYPE_CHECKING:
    from traffik.backends.base import Backend
    from traffik.events.changes import RateChange
    from traffik.strategies import Plan

__all__ = ["changed_rate"]

_Limit: TypeAlias = Any
"""A `traffik.limits.limit.Limit`. Its module imports this one, so it cannot be imported here."""

_log: Final = logging.getLogger("traffik.limits")

_records: Final[WeakKeyDictionary[Backend, ChangeRecord]] = WeakKeyDictionary()

_refused: Final[WeakKeyDictionary[Backend, set[RateChange]]] = WeakKeyDictionary()
"""The changes in force that a limit could not follow, so that each is logged once."""


def changed_rate(store: Backend | None, limit: _Limit) -> tuple[str, Plan] | None:
    """The rate of `limit` that was changed in `store`, and its plan; None if it was not, or cannot be followed."""
    record = None if store is None else _records.get(store)
    change = None if record is None else record.in_force.get(limit.uid)
    if store is None or change is None or change.rate is None:
        return None
    if limit.rating is not None:
        _refuse(store, limit, change, "its rate comes from a function")
        return None
    try:
        rates = parse_rates(change.rate)
        # the plan it has already, if there is one: a store would take another one for a change
        return change.rate, limit.own_plan if limit.own_plan.rates == rates else plan(limit.strategy, rates)
    except (TraffikError, ValueError, TypeError) as error:
        _refuse(store, limit, change, str(error))
        return None


def _refuse(store: Backend, limit: _Limit, change: RateChange, why: str) -> None:
    """Log, once, that a limit cannot follow a change."""
    refused = _refused.setdefault(store, set())
    if change not in refused:
        refused.add(change)
        _log.error("%r cannot follow change %d to %r: %s", limit, change.version, change.rate, why)


def _is_unclear(store: Backend) -> bool:
    """Whether a limit without a backend may count in `store`, or in another one."""
    return binding.is_open(store) and binding.open_one() is None


def _follow(store: Backend, value: bytes | None) -> None:
    """Let the limits that count in `store` follow a new value of its record. One that is invalid changes nothing."""
    try:
        record = ChangeRecord.read(value)
    except (TraffikError, ValueError) as error:
        _log.error("%r: the changes of limits cannot be read (%s); the limits stay as they were", store, error)
        return
    with binding.lock:
        known = _records.get(store, ChangeRecord())
        _records[store] = record
        if store in _refused:
            _refused[store].intersection_update(record.in_force.values())
        uids_changed = {
            uid
            for uid in known.in_force.keys() | record.in_force.keys()
            if known.in_force.get(uid) != record.in_force.get(uid)
        }
        limits = [limit for limit in uids.held() if limit.uid in uids_changed]
        told: set[str] = set()
        for limit in limits:
            if limit.backend is None and _is_unclear(store) and limit.uid in record.in_force:
                _refuse(store, limit, record.in_force[limit.uid], "several stores are open, and it has no backend")
            before = limit.rate_text
            binding.add_watcher(limit)
            if limit.rate_text != before and limit.uid not in told:
                told.add(limit.uid)
                _tell(record, limit, before)


def _tell(record: ChangeRecord, limit: _Limit, before: str) -> None:
    """Log that a limit has followed a change, and publish it."""
    change = next((each for each in record.recent if each.uid == limit.uid), None) or record.in_force.get(limit.uid)
    if change is None:
        _log.warning("the rate of %r is %s again: the store has lost the change", limit.uid, limit.rate_text)
        return
    by = f" by {change.by}" if change.by else ""
    reason = f": {change.reason}" if change.reason else ""
    _log.info(
        "the rate of %r is now %s instead of %s (change %d%s%s)",
        *(limit.uid, limit.rate_text, before, change.version, by, reason),
        extra={f"traffik_{name}": value for name, value in change._replace(before=before).as_dict().items()},
    )
    publish_change(change._replace(before=before))


read_with(_follow)

if hasattr(os, "register_at_fork"):
    # A thread that follows changes may hold the lock of the stores while another one forks. This module is loaded after
    # those whose locks are acquired under that one, so that it is acquired before theirs.
    os.register_at_fork(
        before=binding.lock.acquire, after_in_parent=binding.lock.release, after_in_child=binding.lock.release
    )
