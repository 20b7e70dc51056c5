"""The stores that commands can open by URL, and what each of them can do. Commands never create a store."""

from __future__ import annotations

import os
from typing import Any, Final
from urllib.parse import unquote

from traffik.backends.base import Backend
from traffik.model.errors import ConfigurationError

__all__ = ["ABILITIES", "open_store"]

_REDIS: Final = ("redis", "rediss", "unix", "valkey", "valkeys", "redis+sentinel", "redis+cluster")

ABILITIES: Final = (
    (
        "Redis, Valkey",
        ", ".join(f"{scheme}://" for scheme in _REDIS),
        "explain, stat, reset, change, changes, top (walks keys with SCAN)",
    ),
    (
        "LMDB",
        "lmdb:///DIRECTORY, or lmdb: for the default one",
        "explain, stat, reset, change, changes, top (walks the throttle's keys in its files)",
    ),
    ("in memory", "none", "nothing from outside: its keys are in the process that made it"),
)
"""Each store: its name, its URLs, and the commands that it can serve."""

_OPTIONS: Final[dict[str, Any]] = {"deadline": 2.0, "on_error": "raise", "changes_within": None}


def open_store(url: str, namespace: str) -> Backend:
    """Open the store at `url`. Its errors are raised, without a fallback.

    Raises:
        ConfigurationError: no store has such a URL, or its package is not installed.
    """
    scheme, colon, rest = url.partition(":")
    try:
        if scheme == "lmdb" and colon:
            return _lmdb(url, namespace)
        if scheme in _REDIS and rest.startswith("//"):
            return _redis(url, namespace)
    except ImportError as error:
        raise ConfigurationError(str(error)) from None  # the error has the pip line
    known = "; ".join(f"{name}: {urls}" for name, urls, _ in ABILITIES)
    raise ConfigurationError(f"a command cannot open the store {url!r}; it can open {known}")


def _redis(url: str, namespace: str) -> Backend:
    from traffik.backends.redis import RedisBackend

    secret = os.environ.get("TRAFFIK_SECRET")  # not an option, since other users of the machine can see those
    return RedisBackend(url, namespace=namespace, secret=secret, **_OPTIONS)


def _lmdb(url: str, namespace: str) -> Backend:
    path = _directory(url)
    from traffik.backends.lmdb import LMDBBackend

    return LMDBBackend(path, namespace=namespace, create=False, **_OPTIONS)


def _directory(url: str) -> str | None:
    """The directory in a URL of LMDB; None for the default one.

    Raises:
        ConfigurationError: it has none.
    """
    rest = url.removeprefix("lmdb:")
    if not rest:
        return None
    path = unquote(rest.removeprefix("//"))
    if not rest.startswith("///") or path == "/" or "?" in rest or "#" in rest or "\0" in path:
        raise ConfigurationError(
            f"the URL {url!r} names no directory: write lmdb:///absolute/directory, with ?, # and % as %3F, %23 and "
            f"%25, or lmdb: for the default one"
        )
    return path
