"""Makes the store from ``TRAFFIK["STORE"]``, which may also name one of Django's caches by its alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.utils.module_loading import import_string

from traffik.backends.base import Backend
from traffik.backends.inmemory import InMemoryBackend
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError

__all__ = ["store_of"]

_REDIS: Final = "traffik.backends.redis.RedisBackend"
_MEMORY: Final = "traffik.backends.inmemory.InMemoryBackend"
_KEYS: Final = {"BACKEND", "CACHE", "LOCATION", "OPTIONS"}


def store_of(given: Any) -> Backend | None:
    """The store; None if the project has none.

    Args:
        given: a store, the URL of a Redis, None, or a dict: ``CACHE`` (an alias) or ``BACKEND`` (a dotted path) with
            ``LOCATION``, and ``OPTIONS`` for the store.

    Raises:
        ConfigurationError, ImportError, TypeError, ValueError: it is none of these.
    """
    if given is None or isinstance(given, Backend):
        return given
    if isinstance(given, str):
        given = {"BACKEND": _REDIS, "LOCATION": given}
    if not isinstance(given, Mapping):
        raise TypeError(f"a store is not {describe(given)} ({type(given).__name__})")
    if unknown := set(given) - _KEYS:
        raise ValueError(f"a store has no {', '.join(sorted(map(repr, unknown)))}")
    options = dict(given.get("OPTIONS", {}))
    if "CACHE" in given:
        return _of_cache(given["CACHE"], options)
    where = [given["LOCATION"]] if "LOCATION" in given else []
    path = given.get("BACKEND", _MEMORY)
    if not isinstance(path, str):
        raise TypeError(f"BACKEND is the dotted path of a store, not {path!r}")
    store = import_string(path)(*where, **options)
    if not isinstance(store, Backend):
        raise TypeError(f"{path!r} makes {describe(store)}, which is no store")
    return store


def _of_cache(alias: str, options: dict[str, Any]) -> Backend:
    """The store for a cache: on the same Redis with its own connections, or in memory."""
    if alias not in settings.CACHES:
        raise ConfigurationError(f"CACHES has no {alias!r}")
    cache: Any = caches[alias]
    if isinstance(cache, LocMemCache):
        return InMemoryBackend(**options)
    path = f"{type(cache).__module__}.{type(cache).__qualname__}"
    if path == "django.core.cache.backends.redis.RedisCache":
        client = cache._cache.get_client(write=True)
    elif path == "django_redis.cache.RedisCache":
        client = cache.client.get_client(write=True)
    else:
        raise ConfigurationError(f"the cache {alias!r} is a {path}, which cannot count; a RedisCache can")
    store: Backend = import_string(_REDIS)(client, **options)
    return store
