"""django-smart-ratelimit: "Basic Usage", "Async Support" and "Configuration" of its README."""

from __future__ import annotations

from typing import Any

from contestants.contestant import App, Contestant, DjangoPart

__all__ = ["CONTESTANTS"]


def django(algorithm: str | None) -> App:
    def make(limit: int, url: str | None) -> DjangoPart:
        def decorators() -> Any:
            from django_smart_ratelimit import aratelimit, ratelimit

            options: dict[str, Any] = {"key": "ip", "rate": f"{limit}/m", "block": True}
            if algorithm is not None:
                options["algorithm"] = algorithm
            return ratelimit(**options), aratelimit(**options)

        redis = {"RATELIMIT_BACKEND": "redis", "RATELIMIT_REDIS": {"url": url}}
        return DjangoPart(decorators, redis if url else {})

    return make


CONTESTANTS = tuple(
    Contestant(
        "django-smart-ratelimit",
        words,
        "django-smart-ratelimit",
        "from django_smart_ratelimit import ratelimit",
        "it works in Django only",
        "it works in Django only",
        {"Django": django(name)},
    )
    for words, name in (("sliding window, its default", None), ("token bucket", "token_bucket"))
)
