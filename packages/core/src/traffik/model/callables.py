"""Options that a caller gives as a value or as a callable, made alike once, when a throttle is built.

A callable may be sync or async, and takes as many of the arguments on offer as it likes, from the first on: an
identifier is offered the connection and the context, so ``lambda request: …`` and ``def who(request, context)`` do.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from traffik.model.functions import Written

__all__ = ["PLAIN", "Callback", "Context", "callback", "discard", "then"]

Context: TypeAlias = Mapping[str, Any]
"""What is known of one call: for the caller's functions, and its ``"scope"``."""


PLAIN: Final = (str, int, type(None))
"""Types of answers that need no waiting, tested first: it takes longer to see that a value is not awaitable."""


@dataclass(frozen=True, slots=True, eq=False)
class Callback:
    """A caller's function, with what is worth knowing about it.

    Attributes:
        function: the function, as it was given.
        call: the function, taking every argument on offer.
        name: what to call it in an error.
        written: equals that of the same function, also when its module is loaded again.
        made_with: the arguments of `callback`, to make it again where it is unpickled.
    """

    function: Callable[..., Any]
    call: Callable[..., Any]
    name: str
    written: Written
    made_with: tuple[str, Callable[..., Any], tuple[str, ...]]

    def __reduce__(self) -> tuple[Any, ...]:
        return callback, self.made_with


def callback(what: str, function: Callable[..., Any], offered: tuple[str, ...]) -> Callback:
    """Make `function` callable with all the arguments in `offered`, of which it takes as many as it can.

    Args:
        what: what the function is for, to name it in errors.
        function: the caller's.
        offered: the names of the arguments on offer, in order.

    Raises:
        TypeError: it cannot be called so.
    """
    name = getattr(function, "__qualname__", None) or repr(function)
    taken = _takes(function, offered) if callable(function) else None
    if taken is None:
        raise TypeError(f"{what} {name} cannot be called with ({', '.join(offered)}) or fewer of them from the left")
    call = function if taken == len(offered) else _fewer(function, taken)
    return Callback(function, call, f"{what} {name}", Written(function), (what, function, offered))


def _takes(function: Callable[..., Any], offered: tuple[str, ...]) -> int | None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return 1  # Some builtins hide their signature; they take the first argument.
    count = _wanted([*signature.parameters.values()], offered)
    try:
        signature.bind(*offered[:count])
    except TypeError:
        return None
    return count


def _wanted(parameters: list[inspect.Parameter], offered: tuple[str, ...]) -> int:
    """How many of the arguments on offer a function wants.

    A parameter with a default keeps it (``lambda request, plan=plan: …``), unless it has the name of the argument.
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


def then(answer: Any, go_on: Callable[[Any], Any]) -> Any:
    """What `go_on` makes of an answer: at once, or when it has been waited for if it must be."""
    if isinstance(answer, PLAIN) or not isinstance(answer, Awaitable):
        return go_on(answer)
    return _Later(answer, go_on)


def discard(awaitable: Awaitable[Any]) -> None:
    """Give up what nobody will wait for; a coroutine that is merely dropped warns that it was never awaited."""
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()


class _Later:
    """The rest of `then`. No coroutine: one that is closed before it has begun would not close what it waits for."""

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
