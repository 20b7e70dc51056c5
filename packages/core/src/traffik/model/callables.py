"""The user's functions among the options of a throttle, prepared once so that all are called in the same way.

A function may be sync or async. It takes as many of the offered arguments as it needs, from the first on: an identifier
is offered the connection and the context, so ``lambda request: …`` and ``def client(request, context)`` both work.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from traffik.model.descriptions import describe
from traffik.model.functions import Written
from traffik.model.keys import as_text

__all__ = ["PLAIN", "Callback", "Context", "callback", "check_context", "discard", "then"]

Context: TypeAlias = Mapping[str, Any]
"""Data about one call, passed to the user's functions. Its ``"scope"`` divides the quota."""


PLAIN: Final = (str, int, type(None))
"""Types of results that need no waiting. They are tested first, since a test for an awaitable takes longer."""


@dataclass(frozen=True, slots=True, eq=False)
class Callback:
    """A user's function, prepared by `callback`.

    Attributes:
        function: the function as it was given.
        call: the function, taking every offered argument.
        name: its name in error messages.
        written: compares equal for the same function, also after its module was loaded again.
        made_with: the arguments of `callback`, to make it again after unpickling.
    """

    function: Callable[..., Any]
    call: Callable[..., Any]
    name: str
    written: Written
    made_with: tuple[str, Callable[..., Any], tuple[str, ...]]

    def __reduce__(self) -> tuple[Any, ...]:
        return callback, self.made_with


def callback(what: str, function: Callable[..., Any], offered: tuple[str, ...]) -> Callback:
    """Make `function` callable with all the arguments in `offered`. It gets as many of them as it takes.

    Args:
        what: the purpose of the function, for error messages.
        function: the user's function.
        offered: the names of the offered arguments, in order.

    Raises:
        TypeError: it cannot be called with these arguments.
    """
    name = getattr(function, "__qualname__", None) or describe(function)
    taken = _takes(function, offered) if callable(function) else None
    if taken is None:
        raise TypeError(f"{what} {name} cannot be called with ({', '.join(offered)}) or fewer of them from the left")
    call = function if taken == len(offered) else _fewer(function, taken)
    return Callback(function, call, f"{what} {name}", Written(function), (what, function, offered))


def _takes(function: Callable[..., Any], offered: tuple[str, ...]) -> int | None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return 1  # Some builtins hide their signature. They get the first argument.
    count = _wanted([*signature.parameters.values()], offered)
    try:
        signature.bind(*offered[:count])
    except TypeError:
        return None
    return count


def _wanted(parameters: list[inspect.Parameter], offered: tuple[str, ...]) -> int:
    """How many of the offered arguments a function takes.

    A parameter with a default keeps its default (``lambda request, plan=plan: …``), unless it has the argument's name.
    """
    for count, (parameter, name) in enumerate(zip(parameters, offered, strict=False)):
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return len(offered)
        positional = parameter.kind in {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
        if not positional or (parameter.default is not inspect.Parameter.empty and parameter.name != name):
            return count
    return min(len(parameters), len(offered))


def _fewer(function: Callable[..., Any], taken: int) -> Callable[..., Any]:
    if taken == 1:
        return lambda first, *_: function(first)
    return lambda *arguments: function(*arguments[:taken])


def check_context(context: object) -> Context | None:
    """`context` itself.

    Raises:
        TypeError: it is not a mapping, or its scope has a type that cannot be used in a key.
    """
    if context is None:
        return None
    if not isinstance(context, Mapping):
        raise TypeError(f'a context is a mapping, such as {{"scope": "upload"}}, not {describe(context)}')
    if context.get("scope") is not None:
        as_text(context["scope"], "the scope")
    return context


def then(answer: Any, go_on: Callable[[Any], Any]) -> Any:
    """The result of `go_on(answer)`. If `answer` is awaitable, an awaitable of the result."""
    if isinstance(answer, PLAIN) or not isinstance(answer, Awaitable):
        return go_on(answer)
    return _Later(answer, go_on)


def discard(awaitable: Awaitable[Any]) -> None:
    """Close an awaitable that is not needed. A coroutine that is only dropped warns that it was never awaited."""
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()


class _Later:
    """The awaitable of `then`. A coroutine would not do: closed before it starts, it leaves `answer` open."""

    __slots__ = ("_answer", "_go_on")

    def __init__(self, answer: Awaitable[Any], go_on: Callable[[Any], Any]) -> None:
        self._answer = answer
        self._go_on = go_on

    def __await__(self) -> Generator[Any, Any, Any]:
        answer = self._go_on((yield from self._answer.__await__()))
        if isinstance(answer, Awaitable):
            answer = yield from answer.__await__()
        return answer

    def close(self) -> None:
        discard(self._answer)
