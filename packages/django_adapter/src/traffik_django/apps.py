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
    verbose_name = "traffik"

    def ready(self) -> None:
        # Imported here: the middleware may be a subclass in a module that needs the applications.
        from traffik_django.checks import check_deployment, check_middleware, check_names, check_settings

        checks.register(check_settings, "traffik")
        checks.register(check_middleware, "traffik")
        checks.register(check_names, "traffik")
        checks.register(check_deployment, "traffik", deploy=True)
        setting_changed.connect(conf.changed, dispatch_uid="traffik")
        conf.start()
