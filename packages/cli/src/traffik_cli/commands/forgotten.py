"""Finds calls of throttles that are never awaited, in the source of imported modules.

`throttle.hit(request)` without ``await`` only makes a coroutine, so it limits nothing. Python warns of each when it
happens; this module finds them before. Names are looked up in their modules, so only methods of real throttles and
limiters are reported.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from traffik.limits.limit import Limit
from traffik.throttles import Throttle
from traffik.throttles.all_of import AllOf, hit_all

__all__ = ["Forgotten", "forgotten_in"]

_MISSING: Final = object()


class Forgotten(NamedTuple):
    """A mistake in the source.

    Attributes:
        kind: ``forgotten-await``, or ``throttle-as-decorator``.
        uid: the uid of the throttle.
        place: the file and line.
        sentence: the mistake and how to fix it.
    """

    kind: str
    uid: str
    place: str
    sentence: str


def forgotten_in(module: ModuleType) -> list[Forgotten]:
    """The mistakes in the source of one module; none if it has no source."""
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py"):
        return []
    tree = ast.parse(Path(file).read_bytes())
    return [*_calls(tree, module, file), *_decorators(tree, module, file)]


def _calls(tree: ast.AST, module: ModuleType, file: str) -> Iterator[Forgotten]:
    """Calls whose coroutine is dropped or used as a condition, which is always true."""
    for node in ast.walk(tree):
        for call in _used_at_once(node):
            if not isinstance(call, ast.Call):
                continue
            called = _value_of(call.func, module)
            method = called.__call__ if isinstance(called, Throttle | AllOf) else called
            uid = "hit_all" if method is hit_all else _uid_of(getattr(method, "__self__", None))
            if uid and inspect.iscoroutinefunction(method):
                written = ast.unparse(call)
                sentence = f"{written} is never awaited, so it does nothing: write await {written}"
                yield Forgotten("forgotten-await", uid, f"{file}:{call.lineno}", sentence)


def _uid_of(owner: object) -> str:
    """The uid of a limit or of an `AllOf`; empty for other objects."""
    if isinstance(owner, AllOf):
        return ", ".join(part.limit.uid for part in owner.combination.parts)
    return owner.uid if isinstance(owner, Limit) else ""


def _decorators(tree: ast.AST, module: ModuleType, file: str) -> Iterator[Forgotten]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for each in node.decorator_list:
                throttle = _value_of(each, module)
                if isinstance(throttle, Throttle):
                    mend = f"write @throttled({ast.unparse(each)})"
                    sentence = f"{throttle.uid!r} decorates {node.name}, and replaces it: {mend}"
                    yield Forgotten("throttle-as-decorator", throttle.uid, f"{file}:{each.lineno}", sentence)


def _used_at_once(node: ast.AST) -> list[ast.expr]:
    """The expressions in `node` whose value is dropped or tested."""
    match node:
        case ast.Expr(value):
            return [value]
        case ast.If(test) | ast.While(test) | ast.IfExp(test) | ast.Assert(test):
            return [test]
        case ast.UnaryOp(ast.Not(), operand):
            return [operand]
        case ast.BoolOp(_, values):
            return values
        case _:
            return []


def _value_of(expression: ast.expr, module: ModuleType) -> Any:
    """The object that a dotted name has at the top level of a module."""
    match expression:
        case ast.Name(name):
            return getattr(module, name, _MISSING)
        case ast.Attribute(value, name):
            return getattr(_value_of(value, module), name, _MISSING)
        case _:
            return _MISSING
