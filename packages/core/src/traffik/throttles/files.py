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

from traffik.limits.tiers import TierFunction, Tiers
from traffik.model.errors import ConfigurationError
from traffik.throttles.entries import LimitEntry, entries_of

if TYPE_CHECKING:
    from traffik.backends.base import Backend
    from traffik.limits.limit import RateOption
    from traffik.throttles import HTTPThrottle, WebSocketThrottle

__all__ = ["SCHEMA", "load_throttles", "read_limits", "tiers_of"]

SCHEMA: Final = Path(__file__).with_name("limits.schema.json")
"""The path of the JSON Schema (draft 2020-12) of a file of limits."""


def load_throttles(
    path: str | Path, *, backend: Backend | None = None, tier: TierFunction | None = None
) -> dict[str, HTTPThrottle[Any] | WebSocketThrottle[Any]]:
    """The throttles that the file at `path` describes, by uid, in the order of the file.

    Args:
        path: the path of the file.
        backend: the store of all of them; if None, each throttle finds its store as usual.
        tier: the function that returns the name of a client's tier, as for `Tiers`, for throttles with tiers.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong. The message has the line, and says how
            to fix it. Or a throttle has tiers, and `tier` is None.
    """
    from traffik.throttles import HTTPThrottle, WebSocketThrottle

    made: dict[str, HTTPThrottle[Any] | WebSocketThrottle[Any]] = {}
    for entry in read_limits(path):
        kind = WebSocketThrottle if entry.websocket else HTTPThrottle
        made[entry.uid] = kind(
            entry.uid,
            _rate(entry, tier, path),
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


def _rate(entry: LimitEntry, tier: TierFunction | None, path: str | Path) -> RateOption:
    if not entry.tiers:
        return entry.rates or "unlimited"
    if tier is None:
        raise ConfigurationError(
            f"{path}:{entry.line}: {entry.uid!r} has tiers, and nothing says which one a client has: "
            f"load_throttles(path, tier=plan_of), where plan_of(request) returns its name"
        )
    return tiers_of(entry, tier)


def tiers_of(entry: LimitEntry, tier: TierFunction) -> Tiers:
    """The tiers of an entry, with `tier` as their function."""
    return Tiers({name: each or "unlimited" for name, each in entry.tiers.items()}, tier, default=entry.default_tier)


def _identifier(key: str) -> Callable[..., object] | None:
    """The identifier for a key. A client that does not send the header is limited by its address."""
    if key == "ip":
        return None
    from traffik.identities import header

    return header(key.partition(":")[2])
