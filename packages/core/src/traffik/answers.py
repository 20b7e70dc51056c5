"""What goes out of a whole process and of a whole connection: the default of every throttle, and all fields together.

Decides which fields an answer gets when several throttles have been hit. How each field is written is in
`traffik.headers`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from traffik.adapters import Memory
from traffik.backends import binding
from traffik.headers import RawField, RawFields, together
from traffik.outgoing import DEFAULT, Outgoing

__all__ = ["fields_of", "outgoing_by_default", "use_outgoing"]

_default = DEFAULT


def use_outgoing(outgoing: Outgoing | None) -> None:
    """Let `outgoing` go out of every throttle, made or to be made, that has none of its own.

    Args:
        outgoing: what goes out; None for what goes out of itself.

    Raises:
        TypeError: it is something else.
    """
    global _default  # noqa: PLW0603 - the default of a process
    if not isinstance(outgoing, Outgoing | None):
        raise TypeError(f"what goes out is an Outgoing, such as Outgoing(jitter=5), not {outgoing!r}")
    with binding.lock:
        _default = DEFAULT if outgoing is None else outgoing
        binding.tell()


def outgoing_by_default() -> Outgoing:
    """What goes out of a throttle that has nothing of its own."""
    return _default


def fields_of(memory: Memory, written: Collection[bytes] = ()) -> Iterable[RawField]:
    """The fields of everything that was decided about a connection, to be added to its answer.

    Args:
        memory: the most recent decision of each throttle.
        written: the names, in lower case, of what an answer with status 400 and more has already: a rejection brings
            its own, and gets no others.
    """
    if len(memory) == 1 and not written:  # Nearly always.
        for throttle, decision in memory.items():
            only: RawFields = throttle.policies(decision).raw_fields(decision)
            return only
    fields = together((throttle.policies(decision), decision) for throttle, decision in memory.items())
    return () if _common(fields, written) else fields


def _common(fields: Iterable[RawField], written: Collection[bytes]) -> bool:
    return any(name in written for name, _ in fields)
