"""What a replay took for the client, the time and the path of a request, with an example of each."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Fact", "Taken"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Where one fact of a request stands.

    Attributes:
        field: the names of the fields, as the log or its format has them.
        text: an example, as it stands there.
        value: what was made of it: a client's address, µs since the epoch, a path.
    """

    field: str
    text: str
    value: str | int


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken for what in one log.

    Attributes:
        format: the format.
        wrappers: what was taken off the lines, the outermost first.
        client: the client; None if no field holds one.
        time: the time; None if no line has one.
        path: the path; None if no field holds one.
        through: whether proxies named the client: ``given`` by the user, or ``assumed`` since the other end of the
            connection is a private address or not logged; None if they did not.
    """

    format: str = ""
    wrappers: list[str] = field(default_factory=list)
    client: Fact | None = None
    time: Fact | None = None
    path: Fact | None = None
    through: str | None = None
