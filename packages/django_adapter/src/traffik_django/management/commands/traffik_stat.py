"""`manage.py traffik_stat THROTTLE IDENTITY`: shows the quota left, and consumes none."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from traffik.backends.base import Charge
from traffik_django.commands import QuotaCommand

__all__ = ["Command"]


class Command(QuotaCommand):
    """Prints one line."""

    help = "Shows the quota that an identity has left at a throttle."

    def handle(self, *args: Any, **options: Any) -> None:
        limit, store, key = self.find(options)
        if limit.rating is not None or not limit.own_plan.stats:
            raise CommandError(f"{limit!r} has a rate that depends on the request, or a strategy that cannot tell")
        (decision,) = store.apply_sync([Charge(limit.uid, limit.own_plan, key, 0, read_only=True)])
        if decision.degraded is not None:
            raise CommandError(f"{store!r} does not answer")
        wait = f", next in {decision.wait_ms / 1000:g} s" if decision.retry_after else ""
        self.stdout.write(f"{limit.uid} {options['identity']}: {decision.remaining} of {decision.rate} left{wait}")
