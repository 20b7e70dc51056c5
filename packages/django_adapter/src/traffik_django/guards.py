"""Throttles in front of a view, for the decorator and the middleware: hit one after the other, the first that refuses
is answered, and one that has been hit is left alone. No exception is raised on the way, and refusals that read the
same are prepared once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from asgiref import sync
from django.http.response import HttpResponseBase

from traffik.adapters import adapter_of
from traffik.model.decisions import Decision
from traffik.responses.rejections import Throttled, reject
from traffik.throttles import Throttle
from traffik_django import conf
from traffik_django.responses import Answer

__all__ = ["is_async", "refusal", "refusal_async"]

# On Python 3.11 only this one sees what `markcoroutinefunction` has marked.
is_async: Final[Callable[[object], bool]] = sync.iscoroutinefunction
"""Whether calling a function, as Django sees it, answers something to await."""

_PREPARED: Final = 1024
"""Answers kept ready; they differ in what is left and in the seconds to wait."""

_prepared: dict[object, Answer] = {}


def refusal(
    guards: Iterable[Throttle[Any] | str],
    request: Any,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
) -> HttpResponseBase | None:
    """Hit `guards`, throttles or names of them; the answer of the first that refuses, None if all admit.

    If a throttle has a handler, that is the response which the handler answers; with anything else it lets pass.
    """
    memory = adapter_of(request).memory(request)
    for guard in guards:
        throttle = conf.resolve(guard)
        if throttle in memory:
            continue
        decision = throttle.sync.decide(request, cost, context)
        if not decision.allowed:
            if throttle.handler is None:
                return _answer(throttle, decision).to(request)
            try:
                answer = throttle.sync.refuse(request, decision, context)
            except Throttled as error:
                return Answer(error.rejection).to(request)
            if isinstance(answer, HttpResponseBase):
                return answer
    return None


async def refusal_async(
    guards: Iterable[Throttle[Any] | str],
    request: Any,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
) -> HttpResponseBase | None:
    """`refusal` for async code."""
    memory = adapter_of(request).memory(request)
    for guard in guards:
        throttle = conf.resolve(guard)
        if throttle in memory:
            continue
        decision = await throttle.decide(request, cost, context)
        if not decision.allowed:
            if throttle.handler is None:
                return await _answer(throttle, decision).to_async(request)
            try:
                answer = await throttle.refuse(request, decision, context)
            except Throttled as error:
                return await Answer(error.rejection).to_async(request)
            if isinstance(answer, HttpResponseBase):
                return answer
    return None


def _answer(throttle: Throttle[Any], decision: Decision) -> Answer:
    """The answer; what goes out for the same limit, remainder and wait is prepared once."""
    known = throttle.policies(decision)
    key = known.likeness(decision)
    answer = _prepared.get(key)
    if answer is None:
        if len(_prepared) >= _PREPARED:
            _prepared.clear()
        answer = _prepared[key] = Answer(reject(decision, known))
    return answer
