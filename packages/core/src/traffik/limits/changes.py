"""Changing limits while they are in use: set another rate, or make a shadow live.

Earlier usage of a client still counts: the strategies read the state that was stored under the previous rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from traffik.backends import binding
from traffik.events.changes import RateChange
from traffik.limits import uids
from traffik.limits.change_records import ChangeRecord, OtherFormatError
from traffik.limits.tiers import Tiers, check_tiers
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError
from traffik.model.keys import check_uid
from traffik.model.rates import Rates, parse_rates
from traffik.strategies import plan

if TYPE_CHECKING:
    from traffik.backends.base import Backend
    from traffik.limits.limit import Limit

__all__ = [
    "change_everywhere",
    "change_in_force",
    "change_in_store",
    "change_rate",
    "changes_in",
    "changes_of",
    "in_thread",
    "promote",
]

_T = TypeVar("_T")

_LONGEST: Final = 500
"""Characters of the longest author, reason or rate of a change."""


def change_rate(limit: Limit, rate: Rates | Tiers) -> None:
    """Count by another rate from the next hit on, in all limits of this process with the same uid and definition.

    A rate that was changed for all processes stays in force.

    Raises:
        RateError: the rate is invalid, or the strategy cannot count it exactly. Nothing is changed then.
        ConfigurationError: the limit has a rate function; or it has tiers and is given none, or the reverse.
    """
    change = _change_to(limit, rate)
    twins = [each for each in uids.held() if each.uid == limit.uid and each.definition == limit.definition]
    with binding.lock:
        for each in {id(each): each for each in (limit, *twins)}.values():
            change(each)


def _change_to(limit: Limit, rate: Rates | Tiers) -> Callable[[Limit], None]:
    """A function that changes a limit to `rate`, after a check that this limit can count it."""
    if isinstance(rate, Tiers) and isinstance(limit.rate, Tiers):
        tiers = rate
        tiers.check(limit.strategy)
        check_tiers([*limit.rate.rates.values(), *tiers.rates.values()])
        return lambda each: each.count_by(tiers, each.own_plan)
    if isinstance(rate, Tiers) or isinstance(limit.rate, Tiers):
        raise ConfigurationError(f"{limit!r} cannot be updated to {rate!r}: tiers are updated with other Tiers only")
    _check_settable(limit, rate)
    prepared = plan(limit.strategy, parse_rates(rate))
    return lambda each: each.count_by(rate, prepared)


def promote(limit: Limit) -> None:
    """Make the shadow of a limit live: refuse by a shadow limit, or count by the shadow rate.

    Raises:
        ConfigurationError: the limit has no shadow.
    """
    shadow = limit.shadow
    if shadow is None:
        raise ConfigurationError(f"{limit!r} has no shadow to promote: make it with shadow=True or shadow_rate=…")
    if shadow.plan is not None:
        change_rate(limit, shadow.plan.rates or "unlimited")
    limit.shadow = None
    binding.add_watcher(limit)


def change_everywhere(limit: Limit, rate: Rates | None, by: str, reason: str) -> RateChange:
    """Change the rate of a limit in all processes that count in its store; see `change_in_store`.

    Raises:
        RateError: the strategy cannot count the rate exactly.
        ConfigurationError: the limit has a rate function.
        BackendNotFoundError: no store is open, or it is unclear which one to use.
    """
    _check_settable(limit, rate)
    if rate is not None:
        plan(limit.strategy, parse_rates(rate))
    return change_in_store(_store_of(limit), limit.uid, rate, by=by, reason=reason, before=limit.rate_text)


def changes_of(limit: Limit) -> list[RateChange]:
    """The most recent changes of a limit in its store, the last one first. Errors as for `changes_in`."""
    return changes_in(_store_of(limit), limit.uid)


def change_in_store(
    store: Backend, uid: str, rate: Rates | None, *, by: str = "", reason: str = "", before: str | None = None
) -> RateChange:
    """Change the rate of the limit `uid` in all processes that count in `store`. Blocks.

    If two changes are made at once, all processes use the one that is written last.

    Args:
        store: the store.
        uid: the uid of the limit.
        rate: the new rate; None to withdraw the change in force.
        by: who makes the change, up to 500 characters.
        reason: why, up to 500 characters.
        before: the previous rate, if it is known.

    Raises:
        RateError: the rate is invalid.
        ConfigurationError: the store cannot keep changes, or another version of traffik has written them.
        BackendError: the store does not answer. The change may have been made.
        TypeError, ValueError: another argument is invalid.
    """
    text = None if rate is None else _short("a rate", _text_of(rate))
    wanted = RateChange(check_uid(uid), 0, text, before, _short("by", by), _short("a reason", reason))
    while True:
        stored = store.record.load()
        record, change = _record_in(stored).changed(wanted._replace(when=time.time_ns() // 1000))
        if store.record.swap(stored, record.written()):
            return change


def changes_in(store: Backend, uid: str | None = None) -> list[RateChange]:
    """The most recent changes in `store`, the last one first; of one limit, or of all. At most 50. Blocks.

    Raises:
        ConfigurationError: the store cannot keep changes, or they cannot be read.
        BackendError: the store does not answer.
    """
    return [change for change in _readable_in(store).recent if uid is None or change.uid == uid]


def change_in_force(store: Backend, uid: str) -> RateChange | None:
    """The change that sets the rate of the limit `uid` in `store`; None if there is none. Blocks.

    Raises:
        ConfigurationError, BackendError: as for `changes_in`.
    """
    return _readable_in(store).in_force.get(uid)


async def in_thread(call: Callable[[], _T]) -> _T:
    """The result of a call that blocks, without blocking the event loop."""
    import anyio.to_thread  # here, since it is slow to import

    return await anyio.to_thread.run_sync(call)


def _store_of(limit: Limit) -> Backend:
    return binding.resolve(None) if limit.backend is None else limit.backend


def _check_settable(limit: Limit, rate: object) -> None:
    """Check that the rate of a limit can be set."""
    if limit.rating is not None or callable(rate):
        raise ConfigurationError(
            f"the rate of {limit!r} cannot be updated, since it comes from a function: return another rate from that"
        )


def _text_of(rate: Rates) -> str:
    """A rate as text that parses to the same rate."""
    rates = parse_rates(rate)
    return rate if isinstance(rate, str) else "; ".join(map(str, rates)) or "unlimited"


def _short(what: str, text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{what} is text, not {describe(text)}")
    if len(text) > _LONGEST:
        raise ValueError(f"{what} has up to {_LONGEST} characters, not {len(text)}: {text[:40]!r}…")
    return text


def _readable_in(store: Backend) -> ChangeRecord:
    try:
        return ChangeRecord.read(store.record.load())
    except ValueError as error:
        raise ConfigurationError(
            f"the changes in {store!r} cannot be read ({error}): the next change replaces them"
        ) from None


def _record_in(stored: bytes | None) -> ChangeRecord:
    """The record in a stored value. One that is unreadable is replaced; one of another version is not."""
    try:
        return ChangeRecord.read(stored)
    except OtherFormatError:
        raise
    except ValueError:
        return ChangeRecord()
