"""The common part of the management commands: a throttle by its uid, and the key of an identity in its store."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import get_resolver

from traffik.backends import binding
from traffik.backends.base import Backend
from traffik.limits import uids
from traffik.limits.limit import Limit
from traffik.model.errors import BackendNotFoundError
from traffik.model.keys import local_key
from traffik_django import conf

__all__ = ["QuotaCommand"]


class QuotaCommand(BaseCommand):
    """A command about the quota of one identity at one throttle."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("throttle", help="its name in TRAFFIK['THROTTLES'], or its uid")
        parser.add_argument("identity", help="the result of its identifier: an address, or user:42 for the user 42")
        parser.add_argument("--scope", help="the scope of the quota, if it has any")

    def find(self, options: dict[str, Any]) -> tuple[Limit, Backend, str]:
        """The throttle, its store and the key.

        Raises:
            CommandError: there is no such throttle, or its store is in the memory of another process.
        """
        get_resolver().url_patterns  # noqa: B018 - brings in the views, and with them their throttles
        name = options["throttle"]
        limit = conf.throttles.get(name) or uids.holder(name)
        if limit is None:
            known = ", ".join(conf.throttles) or "none"
            raise CommandError(f"no throttle is called {name!r}; the settings name: {known}")
        try:
            store = limit.backend or binding.resolve(apps)
        except BackendNotFoundError as error:
            raise CommandError(str(error)) from error
        if store.in_process:
            raise CommandError(f"{store!r} is in the memory of each server process, so this command cannot read it")
        return limit, store, local_key(options["scope"], options["identity"])
