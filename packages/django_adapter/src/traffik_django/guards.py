"""Throttles in front of a view, for the decorator and the middleware: a refusal is answered without an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from asgiref.sync import iscoroutinefunction
from django.http.response import HttpResponseBase

from traffik.model.coroutines import run_sync
from traffik.responses.rejections import Throttled
from traffik.throttles import Throttle
from traffik.throttles.guards import PreparedRejections, hit_each
from traffik_django import conf
from traffik_django.responses import Answer

__all__ = ["is_async", "refusal", "refusal_sync"]

# On Python 3.11 only this one recognizes functions that `markcoroutinefunction` has marked.
is_async: Final[Callable[[object], bool]] = iscoroutinefunction
"""Whether Django awaits the result of a function."""

_prepared: Final = PreparedRejections(Answer)


async def refusal(
    guards: Iterable[Throttle[Any] | str],
    request: Any,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
    *,
    sync: bool = False,
) -> HttpResponseBase | None:
    """Hit `guards`, throttles or names of them, as `hit_each` does: the response to a refusal, None if all admit."""
    each = map(conf.resolve, guards)
    try:
        answer = await hit_each(each, request, cost, context, response=HttpResponseBase, respond=_prepared, sync=sync)
    except Throttled as error:
        answer = Answer(error.rejection)
    if isinstance(answer, Answer):
        answer = answer.to(request) if sync else await answer.to_async(request)
    return cast("HttpResponseBase | None", answer)


def refusal_sync(
    guards: Iterable[Throttle[Any] | str],
    request: Any,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
) -> HttpResponseBase | None:
    """`refusal` for sync code."""
    return run_sync(refusal(guards, request, cost, context, sync=True))
