"""What goes out of a whole process and of a whole connection: the default of every throttle, and all fields together.

Decides which fields an answer gets when several throttles have been hit. How each field is written is in
`traffik.responses.headers`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from traffik.adapters import Memory
from traffik.backends import binding
from traffik.model.descriptions import describe
from traffik.responses.headers import RawField, RawFields, together
from traffik.responses.options import DEFAULT, ResponseOptions
from traffik.responses.rejections import status_of

__all__ = ["default_responses", "fields_of", "set_default_responses"]

_default = DEFAULT


def set_default_responses(responses: ResponseOptions | None) -> None:
    """Let `responses` go out of every throttle, made or to be made, that has none of its own.

    Args:
        responses: what goes out; None for what goes out of itself.

    Raises:
        TypeError: it is something else.
    """
    global _default  # noqa: PLW0603 - the default of a process
    if not isinstance(responses, ResponseOptions | None):
        raise TypeError(
            f"what goes out is a ResponseOptions, such as ResponseOptions(jitter=5), not {describe(responses)}"
        )
    with binding.lock:
        _default = DEFAULT if responses is None else responses
        binding.notify_subscribers()


def default_responses() -> ResponseOptions:
    """What goes out of a throttle that has nothing of its own."""
    return _default


def fields_of(memory: Memory, written: Collection[bytes] = (), *, status: int = 200) -> Iterable[RawField]:
    """The fields of everything that was decided about a connection, to be added to its answer.

    A rejection tells of its own refusal alone, in the fields that belong to that; so one that has none gets none. Any
    other answer tells of everything, and so does one to a client whose refusal a handler has let pass.

    Args:
        memory: the most recent decision of each throttle.
        written: the names, in lower case, of what an answer with status 400 and more has already: if it has brought
            fields of its own, it gets no others.
        status: of the answer.
    """
    if status >= 400:
        for throttle, decision in reversed(memory.items()):
            if not decision.allowed and status_of(decision) == status:
                memory = {throttle: decision}
                break
    if len(memory) == 1 and not written:  # Nearly always.
        for throttle, decision in memory.items():
            only: RawFields = throttle.policies(decision).raw_fields(decision)
            return only
    fields = together((throttle.policies(decision), decision) for throttle, decision in memory.items())
    return () if _common(fields, written) else fields


def _common(fields: Iterable[RawField], written: Collection[bytes]) -> bool:
    return any(name in written for name, _ in fields)
