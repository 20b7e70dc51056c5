"""django-ratelimit: https://django-ratelimit.readthedocs.io/en/stable/usage.html, on Django's cache."""

from __future__ import annotations

from typing import Any

from contestants.contestant import Contestant, DjangoPart

__all__ = ["CONTESTANTS"]


def django(limit: int, url: str | None) -> DjangoPart:
    def decorators() -> Any:
        from django_ratelimit.decorators import ratelimit

        decorator = ratelimit(key="ip", rate=f"{limit}/m", block=True)
        return decorator, decorator

    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
    # Its check refuses the cache in memory, since workers do not share it.
    quiet = ["django_ratelimit.E003", "django_ratelimit.W001"]
    return DjangoPart(decorators, {"CACHES": {"default": redis if url else memory}, "SILENCED_SYSTEM_CHECKS": quiet})


CONTESTANTS = (
    Contestant(
        "django-ratelimit",
        "fixed window",
        "django-ratelimit",
        "import django_ratelimit.decorators",
        "it works in Django only",
        "it works in Django only",
        {"Django": django},
        forgets="Django's cache in memory keeps 300 entries, by default",
    ),
)
