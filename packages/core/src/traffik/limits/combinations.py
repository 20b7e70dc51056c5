"""Several limits that are hit as one, prepared once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple

from traffik.limits.limit import Limit
from traffik.model.callables import check_context
from traffik.model.costs import check_cost
from traffik.model.descriptions import describe

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from traffik.model.callables import Context

    L_co = TypeVar("L_co", bound=Limit, default=Limit, covariant=True)
else:
    from typing import TypeVar

    L_co = TypeVar("L_co", covariant=True)

__all__ = ["Combination", "Hit", "combination_of"]

_KEPT: Final = 64
"""The most combinations that are kept for a limit that comes first in them."""

_new = tuple.__new__


class Hit(NamedTuple, Generic[L_co]):
    """One limit in a decision about several, with its own options.

    Attributes:
        limit: a throttle or a limiter.
        cost: units it takes; if None, those of the whole hit, or else the limit's own.
        context: its values override those of the limit's context; if None, that of the whole hit.
        subject: the connection or identity to count; if None, that of the whole hit.
    """

    limit: L_co
    cost: int | None = None
    context: Mapping[str, object] | None = None
    subject: object = None

    def subject_in(self, whole: Any) -> Any:
        """Its own subject, or else that of the whole hit."""
        return whole if self.subject is None else self.subject

    def context_in(self, whole: Context | None) -> Context | None:
        """Its own context, or else that of the whole hit."""
        return whole if self.context is None else self.context


class Combination:
    """Limits that are hit as one, prepared once.

    Args:
        limits: the limits. A `Hit` gives one of them its own options.

    Raises:
        TypeError, ValueError: there are none, something else is among them, or one has a bad cost or context.

    Attributes:
        parts: the limits.
        steps: the fields of each part, and the place of the first part that gives a subject the same key, so that it
            need not be identified again; None if there is none before it.
        rejects: whether a throttle is among them, which rejects the connection if one of them refuses.
        throttles: the throttles and their places.
        follows: whether one of the throttles has a policy for floods, so that it stores more than the decision.
    """

    __slots__ = ("follows", "parts", "rejects", "steps", "throttles")

    def __init__(self, limits: Sequence[Limit | Hit]) -> None:
        if not limits:
            raise TypeError("one decision takes at least one throttle or limiter")
        self.parts: tuple[Hit[Limit], ...] = tuple(
            [each if isinstance(each, Hit) else _new(Hit, (each, None, None, None)) for each in limits]
        )
        self.steps: list[tuple[Limit, int | None, Context | None, Any, int | None]] = []
        self.throttles: list[tuple[int, Limit]] = []
        sources: list[object] = []
        for place, (limit, cost, context, subject) in enumerate(self.parts):
            if not isinstance(limit, Limit):
                raise TypeError(f"one decision takes throttles and limiters, one by one, not {describe(limit)}")
            if cost is not None:
                check_cost(cost)
            own = check_context(context) is not None or subject is not None or limit.context
            source = object() if own else limit.identity_source
            like = sources.index(source) if source in sources else None
            sources.append(source)
            self.steps.append((limit, cost, context, subject, like))
            if limit.rejects:
                self.throttles.append((place, limit))
        self.rejects: bool = len(self.throttles) > 0
        self.follows: bool = any(limit.floods is not None for _, limit in self.throttles)


def combination_of(limits: tuple[Limit | Hit, ...]) -> Combination:
    """A `Combination` of the limits. One without a `Hit` is kept for the next call. Raises as `Combination` does."""
    first = limits[0] if limits else None
    if not isinstance(first, Limit) or Hit in map(type, limits):
        return Combination(limits)
    try:
        found: Combination | None = first.combinations.get(limits)
    except TypeError:  # one of them cannot be hashed, so it is no limit
        return Combination(limits)
    if found is None:
        found = Combination(limits)
        if len(first.combinations) >= _KEPT:
            first.combinations.clear()
        first.combinations[limits] = found
    return found
