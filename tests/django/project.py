"""The project of the tests: its settings, and URLs that a test may replace by `ROOT_URLCONF`."""

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
