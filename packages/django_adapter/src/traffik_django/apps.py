"""The application to list in INSTALLED_APPS: it reads the settings, checks them and opens the store."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.core.signals import setting_changed

from traffik_django import conf

__all__ = ["TraffikConfig"]


class TraffikConfig(AppConfig):
    """``"traffik_django"``."""

    name = "traffik_django"
    label = "traffik"

    def ready(self) -> None:
        # imported here, since the middleware may be a subclass in a module that needs the applications
        from traffik_django import checks as ours

        for check in ours.CHECKS:
            checks.register(check, "traffik")
        checks.register(ours.check_deployment, "traffik", deploy=True)
        setting_changed.connect(conf.changed, dispatch_uid="traffik")
        conf.start()
