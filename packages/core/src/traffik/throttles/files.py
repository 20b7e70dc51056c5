"""Limits in a file, ``limits.toml``. An application and a replay read it alike, so you deploy the limits you tried.

    [[throttle]]
    uid = "api:data"
    rate = "100/min"

Its schema is beside this module, in ``limits.schema.json``. `traffik.throttles.entries` checks the content.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from traffik.model.errors import ConfigurationError
from traffik.throttles.entries import LimitEntry, entries_of

if TYPE_CHECKING:
    from traffik.backends.base import Backend
    from traffik.throttles import HTTPThrottle, WebSocketThrottle

__all__ = ["SCHEMA", "load_throttles", "read_limits"]

SCHEMA: Final = Path(__file__).with_name("limits.schema.json")
"""The path of the JSON Schema (draft 2020-12) of a file of limits."""


def load_throttles(
    path: str | Path, *, backend: Backend | None = None
) -> dict[str, HTTPThrottle[Any] | WebSocketThrottle[Any]]:
    """The throttles that the file at `path` describes, by uid, in the order of the file.

    Args:
        path: the path of the file.
        backend: the store of all of them; if None, they find it as every throttle without a store does.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong. The message has the line, and says how
            to fix it.
    """
    from traffik.throttles import HTTPThrottle, WebSocketThrottle

    made: dict[str, HTTPThrottle[Any] | WebSocketThrottle[Any]] = {}
    for entry in read_limits(path):
        kind = WebSocketThrottle if entry.websocket else HTTPThrottle
        made[entry.uid] = kind(
            entry.uid,
            entry.rates or "unlimited",
            strategy=entry.strategy,
            cost=entry.cost,
            identifier=_identifier(entry.key),
            rules=entry.rules,
            backend=backend,
        )
    return made


def read_limits(path: str | Path) -> tuple[LimitEntry, ...]:
    """The entries of the file at `path`.

    Raises:
        ConfigurationError: as in `load_throttles`.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot read {path}: {reason}") from None
    return entries_of(str(path), text)


def _identifier(key: str) -> Callable[..., object] | None:
    """The identifier for a key. A client that does not send the header is limited by its address."""
    if key == "ip":
        return None
    from traffik.identities import header

    return header(key.partition(":")[2])
