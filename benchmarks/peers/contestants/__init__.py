"""The limiters that are compared, each used as its own documentation says: a file for each, with the same names."""

from __future__ import annotations

from typing import Final

from contestants import (
    aiolimiter,
    asgi_ratelimit,
    django_ratelimit,
    django_smart_ratelimit,
    fastapi_limiter,
    limits,
    ours,
    pyrate_limiter,
    slowapi,
    throttled_py,
    upstream,
)
from contestants.contestant import Contestant

__all__ = ["CONTESTANTS"]

CONTESTANTS: Final[tuple[Contestant, ...]] = (
    *ours.CONTESTANTS,
    *limits.CONTESTANTS,
    *throttled_py.CONTESTANTS,
    *pyrate_limiter.CONTESTANTS,
    *aiolimiter.CONTESTANTS,
    *asgi_ratelimit.CONTESTANTS,
    *slowapi.CONTESTANTS,
    *fastapi_limiter.CONTESTANTS,
    *django_ratelimit.CONTESTANTS,
    *django_smart_ratelimit.CONTESTANTS,
    *upstream.CONTESTANTS,
)
