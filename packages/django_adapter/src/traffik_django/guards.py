"""Throttles in front of a view, for the decorator and the middleware: hit one after the other, the first that refuses
is answered. No exception is raised on the way, and refusals that read the same are prepared once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from asgiref import sync
from django.http import HttpResponse

from traffik.decisions import Decision
from traffik.errors import Throttled
from traffik.rejections import Rejection, reject
from traffik.throttles import Throttle
from traffik_django import conf
from traffik_django.responses import respond

__all__ = ["is_async", "refusal", "refusal_async"]

# On Python 3.11 only this one sees what `markcoroutinefunction` has marked.
is_async: Final[Callable[[object], bool]] = sync.iscoroutinefunction
"""Whether calling a function, as Django sees it, answers something to await."""

_PREPARED: Final = 1024
"""Rejections kept ready; they differ in what is left and in the seconds to wait."""

_prepared: dict[object, Rejection] = {}


def refusal(
    guards: Iterable[Throttle[Any] | str],
    request: Any,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
) -> HttpResponse | None:
    """Hit `guards`, throttles or names of them; the answer of the first that refuses, None if all admit."""
    for guard in guards:
        throttle = conf.resolve(guard)
        decision = throttle.sync.decide(request, cost, context)
        if not decision.allowed:
            if throttle.handler is None:
                return respond(request, _rejection(throttle, decision))
            try:
                throttle.sync.refuse(request, decision, context)
            except Throttled as error:
                return respond(request, error.rejection)
    return None


async def refusal_async(
    guards: Iterable[Throttle[Any] | str],
    request: Any,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
) -> HttpResponse | None:
    """`refusal` for async code."""
    for guard in guards:
        throttle = conf.resolve(guard)
        decision = await throttle.decide(request, cost, context)
        if not decision.allowed:
            if throttle.handler is None:
                return respond(request, _rejection(throttle, decision))
            try:
                await throttle.refuse(request, decision, context)
            except Throttled as error:
                return respond(request, error.rejection)
    return None


def _rejection(throttle: Throttle[Any], decision: Decision) -> Rejection:
    """The rejection; that of the same limit, remainder and wait is prepared once."""
    known = throttle.policies(decision)
    key = (known, known.name or decision.rate, decision.remaining, decision.wait_seconds, decision.degraded)
    rejection = _prepared.get(key)
    if rejection is None:
        if len(_prepared) >= _PREPARED:
            _prepared.clear()
        rejection = _prepared[key] = reject(decision, known)
    return rejection
