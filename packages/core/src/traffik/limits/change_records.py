"""The record of changes that the processes of a store share: its text, and how it changes. Pure.

It is JSON with the changes that are in force and the most recent ones. Values of another format are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from traffik.events.changes import RateChange
from traffik.model.errors import ConfigurationError

__all__ = ["MOST_IN_FORCE", "RECENT", "ChangeRecord", "OtherFormatError"]

RECENT: Final = 50
"""How many of the most recent changes a record has."""

MOST_IN_FORCE: Final = 500
"""How many limits can have a changed rate at a time."""

_FORMAT: Final = 1

_FIELDS: Final = (str, int, str | None, str | None, str, str, int)
"""The types of the fields of a `RateChange`."""


class OtherFormatError(ConfigurationError):
    """The record was written by another version of traffik."""


class ChangeRecord(NamedTuple):
    """The changes in one store.

    Attributes:
        version: the number of the last change; 0 if there was none.
        in_force: the change of each limit whose rate is changed, by uid.
        recent: the most recent changes, the last one first.
    """

    version: int = 0
    in_force: Mapping[str, RateChange] = {}
    recent: tuple[RateChange, ...] = ()

    @classmethod
    def read(cls, value: bytes | None) -> ChangeRecord:
        """The record in a value; an empty one for None.

        Raises:
            OtherFormatError: another version of traffik has written it.
            ValueError: it is not a record.
        """
        if value is None:
            return cls()
        found = json.loads(value)
        if not isinstance(found, dict) or type(found.get("format")) is not int:
            raise ValueError("it is not an object with a format")
        if found["format"] != _FORMAT:
            raise OtherFormatError(
                f"they have format {found['format']}, which another version of traffik "
                f"has written: use that version here too"
            )
        version, in_force, recent = (found.get(name) for name in ("version", "in_force", "recent"))
        if type(version) is not int or not isinstance(in_force, list) or not isinstance(recent, list):
            raise ValueError("it has no version, or no changes")
        changes = tuple(map(_change, in_force))
        return cls(version, {change.uid: change for change in changes}, tuple(map(_change, recent)))

    def changed(self, change: RateChange) -> tuple[ChangeRecord, RateChange]:
        """The record after a change, and the change with its version.

        Raises:
            ConfigurationError: too many limits have a changed rate.
        """
        before = self.in_force.get(change.uid)
        change = change._replace(version=self.version + 1, before=before.rate if before else change.before)
        in_force = {uid: each for uid, each in self.in_force.items() if uid != change.uid}
        if change.rate is not None:
            in_force[change.uid] = change
        if len(in_force) > MOST_IN_FORCE:
            raise ConfigurationError(
                f"the rates of {MOST_IN_FORCE} limits are changed already: withdraw some of these changes first"
            )
        return ChangeRecord(change.version, in_force, (change, *self.recent)[:RECENT]), change

    def written(self) -> bytes:
        """The record as a value."""
        changes = {"in_force": list(self.in_force.values()), "recent": self.recent}
        return json.dumps({"format": _FORMAT, "version": self.version, **changes}, separators=(",", ":")).encode()


def _change(fields: Any) -> RateChange:
    if not isinstance(fields, list) or len(fields) != len(_FIELDS):
        raise ValueError(f"a change has {len(_FIELDS)} fields")
    pairs = zip(fields, _FIELDS, strict=True)
    if not all(isinstance(field, kind) and not isinstance(field, bool) for field, kind in pairs):
        raise ValueError("a field of a change has another type")
    return RateChange(*fields)
