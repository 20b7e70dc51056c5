"""`manage.py traffik_reset THROTTLE IDENTITY`: gives an identity its whole quota back."""

from __future__ import annotations

from typing import Any

from traffik_django.commands import QuotaCommand

__all__ = ["Command"]


class Command(QuotaCommand):
    """Prints one line."""

    help = "Forgets the quota that an identity has used at a throttle."

    def handle(self, *args: Any, **options: Any) -> None:
        limit, store, key = self.find(options)
        store.reset_sync(limit.uid, key)
        self.stdout.write(f"{limit.uid} {options['identity']}: the whole quota is available again")
