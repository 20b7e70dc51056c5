"""The default response options of the process, and the header fields of a response after hits of several throttles.

This module decides which fields a response gets. `traffik.responses.headers` writes each field.
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
    """Use `responses` for every throttle without its own response options, existing ones included.

    Args:
        responses: the options; None for those of `ResponseOptions()`.

    Raises:
        TypeError: it is neither.
    """
    global _default  # noqa: PLW0603 - the default of a process
    if not isinstance(responses, ResponseOptions | None):
        raise TypeError(
            f"responses are None or ResponseOptions, such as ResponseOptions(jitter=5), not {describe(responses)}"
        )
    with binding.lock:
        _default = DEFAULT if responses is None else responses
        binding.notify_subscribers()


def default_responses() -> ResponseOptions:
    """The response options for throttles without their own."""
    return _default


def fields_of(memory: Memory, written: Collection[bytes] = (), *, status: int = 200) -> Iterable[RawField]:
    """The header fields to add to a response, from all decisions on its connection.

    A rejection has only the fields of the decision that refused. Any other response has the fields of all decisions,
    also if a handler served a refused request.

    Args:
        memory: the most recent decision of each throttle.
        written: the names, in lower case, of the fields that a response with status 400 or more already has. If one of
            ours is among them, nothing is added.
        status: of the response.
    """
    if status >= 400:
        for throttle, decision in reversed(memory.items()):
            if not decision.allowed and status_of(decision) == status:
                memory = {throttle: decision}
                break
    if len(memory) == 1 and not written:  # the usual case, and the fastest
        ((throttle, decision),) = memory.items()
        only: RawFields = throttle.policies(decision).raw_fields(decision)
        return only
    fields = together((throttle.policies(decision), decision) for throttle, decision in memory.items())
    return () if _common(fields, written) else fields


def _common(fields: Iterable[RawField], written: Collection[bytes]) -> bool:
    return any(name in written for name, _ in fields)
