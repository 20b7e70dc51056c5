"""The Django project of the tests: its settings, and URLs that a test may replace with `ROOT_URLCONF`."""

import django
from django.conf import settings

SETTINGS = {
    "ALLOWED_HOSTS": ["*"],
    "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
    "INSTALLED_APPS": [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "rest_framework",
        "traffik_django",
    ],
    "MIDDLEWARE": [],
    "ROOT_URLCONF": __name__,
    "SECRET_KEY": "of the tests",
    "TRAFFIK": {"STORE": None},  # the tests open the stores
    "USE_TZ": True,
}

urlpatterns = []


def set_up():
    """Set up Django with these settings. A process can have only one project."""
    if not settings.configured:
        settings.configure(**SETTINGS)
        django.setup()
