"""The stores that a command can open by a URL, and what each of them can do for it."""

from __future__ import annotations

from typing import Final

from traffik.backends.base import Backend
from traffik.errors import ConfigurationError

__all__ = ["ABILITIES", "open_store"]

_REDIS: Final = ("redis", "rediss", "unix", "valkey", "valkeys", "redis+sentinel", "redis+cluster")

ABILITIES: Final = (
    (
        "Redis, Valkey",
        ", ".join(f"{scheme}://" for scheme in _REDIS),
        "explain, stat, reset, top (walks keys with SCAN)",
    ),
    ("in memory", "none", "nothing from outside: its keys are in the process that made it"),
)
"""Each store: its name, its URLs, and the commands that it can serve."""

_DEADLINE: Final = 2.0


def open_store(url: str, namespace: str) -> Backend:
    """The store at `url`; its errors are errors here, nobody takes its place.

    Raises:
        ConfigurationError: no store has such a URL, or what it needs is not installed.
    """
    scheme = url.partition("://")[0]
    if "://" not in url or scheme not in _REDIS:
        known = "; ".join(f"{name}: {urls}" for name, urls, _ in ABILITIES)
        raise ConfigurationError(f"no store that a command can open has the URL {url!r}; there are {known}")
    try:
        from traffik.backends.redis import RedisBackend
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"this store needs {error.name}: pip install 'traffik[redis]'") from None
    return RedisBackend(url, namespace=namespace, deadline=_DEADLINE, on_error="raise")
