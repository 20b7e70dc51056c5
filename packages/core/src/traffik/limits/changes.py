"""Changing a limit while it is in use: another rate, or the end of its shadow.

What a client has used stays used: the strategies count what is stored under the rate before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from traffik.backends import binding
from traffik.limits import uids
from traffik.model.errors import ConfigurationError
from traffik.model.rates import Rates, parse_rates
from traffik.strategies import plan

if TYPE_CHECKING:
    from traffik.limits.limit import Limit

__all__ = ["change_rate", "promote"]


def change_rate(limit: Limit, rate: Rates) -> None:
    """Count by another rate from the next hit on, in every limit of this process with the same definition.

    Raises:
        RateError: it is not a rate, or the strategy cannot count it exactly; nothing is changed then.
        ConfigurationError: the limit has a rate function.
    """
    if limit.rating is not None or callable(rate):
        raise ConfigurationError(
            f"the rate of {limit!r} cannot be updated, since a function answers it: let that answer another rate"
        )
    prepared = plan(limit.strategy, parse_rates(rate))
    twins = [each for each in uids.held() if each.uid == limit.uid and each.definition == limit.definition]
    with binding.lock:
        for each in {id(each): each for each in (limit, *twins)}.values():
            each.count_by(rate, prepared)


def promote(limit: Limit) -> None:
    """Let what is in the shadow of a limit be live.

    Raises:
        ConfigurationError: nothing is.
    """
    shadow = limit.shadow
    if shadow is None:
        raise ConfigurationError(f"{limit!r} has no shadow to promote: make it with shadow=True or shadow_rate=…")
    if shadow.plan is not None:
        change_rate(limit, shadow.plan.rates or "unlimited")
    limit.shadow = None
    binding.add_watcher(limit)
