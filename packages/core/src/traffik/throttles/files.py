"""Limits as data: ``limits.toml``, read by an application and by a replay, so that the file tried is the file deployed.

    [[throttle]]
    uid = "api:data"
    rate = "100/min"

Its form is published beside this module, as ``limits.schema.json``; what is checked is in `traffik.throttles.entries`.
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
"""Where the form of a file of limits is published, as JSON Schema (draft 2020-12)."""


def load_throttles(
    path: str | Path, *, backend: Backend | None = None
) -> dict[str, HTTPThrottle[Any] | WebSocketThrottle[Any]]:
    """The throttles that the file at `path` describes, by their uids, in its order.

    Args:
        path: of the file.
        backend: the store of all of them; if None, as for any throttle that names none.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong; says in which line, and what mends it.
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
    """What the file at `path` describes.

    Raises:
        ConfigurationError: as for `load_throttles`.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot read {path}: {reason}") from None
    return entries_of(str(path), text)


def _identifier(key: str) -> Callable[..., object] | None:
    """What finds the client; one that does not send the header is counted by its address."""
    if key == "ip":
        return None
    from traffik.identities import header

    return header(key.partition(":")[2])
