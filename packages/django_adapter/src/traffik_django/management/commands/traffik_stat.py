"""`manage.py traffik_stat THROTTLE IDENTITY`: shows the quota left, and consumes none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError, CommandParser

from traffik.backends.base import Charge
from traffik.limits.tiers import Tiers, text_in_place
from traffik.model.errors import RateError
from traffik.model.rates import parse_rates
from traffik_django.commands import QuotaCommand

if TYPE_CHECKING:
    from traffik.limits.limit import Limit
    from traffik.strategies import Plan

__all__ = ["Command"]


class Command(QuotaCommand):
    """Prints one line."""

    help = "Shows the quota that an identity has left at a throttle."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tier", help="the tier of the identity, if the throttle has tiers")
        parser.add_argument("--rate", help="what the rate function returns for the identity, if the throttle has one")

    def handle(self, *args: Any, **options: Any) -> None:
        limit, store, key = self.find(options)
        plan = _plan(limit, options["tier"], options["rate"])
        if not plan.stats:
            raise CommandError(f"the strategy {plan.strategy!r} of {limit.uid!r} cannot tell what is left")
        if not plan.rates:
            self.stdout.write(f"{limit.uid} {options['identity']}: unlimited")
            return
        (decision,) = store.apply_sync([Charge(limit.uid, plan, key, 0, read_only=True)])
        if decision.degraded is not None:
            raise CommandError(f"{store!r} does not answer")
        wait = f", next in {decision.wait_ms / 1000:g} s" if decision.retry_after else ""
        self.stdout.write(f"{limit.uid} {options['identity']}: {decision.remaining} of {decision.rate} left{wait}")


def _plan(limit: Limit, tier: str | None, rate: str | None) -> Plan:
    """The plan that counts an identity of this tier, or for which the rate function returns `rate`.

    Raises:
        CommandError: the throttle needs another one of the two, or none.
    """
    if isinstance(limit.rate, Tiers):
        names = ", ".join(limit.rate.rates)
        if rate is not None or tier is None:
            raise CommandError(f"{limit.uid!r} has tiers: give the one of the identity with --tier; they are {names}")
        if tier not in limit.rate.rates:
            raise CommandError(f"{limit.uid!r} has no tier {tier!r}: its tiers are {names}")
        return limit.bound_for(text_in_place(limit.rate.rates[tier])).plan
    if tier is not None:
        raise CommandError(f"{limit.uid!r} has no tiers: leave out --tier")
    if limit.rating is None:
        if rate is not None:
            raise CommandError(f"{limit.uid!r} has the rate {limit.rate_text!r}: leave out --rate")
        return limit.own_plan
    if rate is None:
        raise CommandError(
            f"the rate of {limit.uid!r} comes from {limit.rating.name}, which needs a request: give what it returns "
            f'for the identity, such as --rate "100/min"'
        )
    try:
        return limit.bound_for(parse_rates(rate)).plan
    except RateError as error:
        raise CommandError(f"--rate: {error}") from error
