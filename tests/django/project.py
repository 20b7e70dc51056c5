"""The project of the tests: its settings, and URLs that a test may replace by `ROOT_URLCONF`."""

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
    "TRAFFIK": {"STORE": None},  # the tests open stores of their own
    "USE_TZ": True,
}

urlpatterns = []


def set_up():
    """A process has one project; this one, for all tests."""
    if not settings.configured:
        settings.configure(**SETTINGS)
        django.setup()
