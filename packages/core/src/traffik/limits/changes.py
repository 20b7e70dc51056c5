"""Changing limits while they are in use: set another rate, or make a shadow live.

Earlier usage of a client still counts: the strategies read the state that was stored under the previous rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from traffik.backends import binding
from traffik.limits import uids
from traffik.limits.tiers import Tiers, check_tiers
from traffik.model.errors import ConfigurationError
from traffik.model.rates import Rates, parse_rates
from traffik.strategies import plan

if TYPE_CHECKING:
    from traffik.limits.limit import Limit

__all__ = ["change_rate", "promote"]


def change_rate(limit: Limit, rate: Rates | Tiers) -> None:
    """Count by another rate from the next hit on, in all limits of this process with the same uid and definition.

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
    """What changes a limit to `rate`, which is checked for this one."""
    if isinstance(rate, Tiers) and isinstance(limit.rate, Tiers):
        tiers = rate
        tiers.check(limit.strategy)
        check_tiers([*limit.rate.rates.values(), *tiers.rates.values()])
        return lambda each: each.count_by(tiers, each.own_plan)
    if isinstance(rate, Tiers) or isinstance(limit.rate, Tiers):
        raise ConfigurationError(f"{limit!r} cannot be updated to {rate!r}: tiers are updated with other Tiers only")
    if limit.rating is not None or callable(rate):
        raise ConfigurationError(
            f"the rate of {limit!r} cannot be updated, since it comes from a function: return another rate from that"
        )
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
