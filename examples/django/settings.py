"""A small project without a database. The limits are in MIDDLEWARE and TRAFFIK."""

import os
from pathlib import Path

SECRET_KEY = "of an example"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "examples.django.urls"
INSTALLED_APPS = ["traffik_django"]
MIDDLEWARE = [
    "traffik_django.middleware.ThrottleMiddleware",  # first, so that a refusal costs least
    "django.middleware.common.CommonMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],  # has the page 429.html
    }
]
USE_TZ = True

TRAFFIK = {
    # One process counts in memory; a fleet shares a Redis.
    "STORE": os.environ.get("REDIS_URL") or {},
    "THROTTLES": {
        "everything": "20/s",
        "login": {"rate": "3/min", "strategy": "traffik.SlidingLog", "rules": {"methods": ["POST"]}},  # not the form
        "reports": {"rate": "10/hour", "identifier": "examples.django.views.customer"},
    },
    "URLS": {"*": "everything", "accounts:*": "login"},
}
