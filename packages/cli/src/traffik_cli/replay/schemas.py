"""Reports as JSON, and the JSON Schema of that, both from the same classes and their documentation."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

__all__ = ["plain", "schema_of"]

_TYPES: Final = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}
_ATTRIBUTE: Final = re.compile(r"^ {4}(?P<name>\w+): (?P<text>.*(?:\n {5,}.*)*)", re.MULTILINE)


def plain(value: Any) -> Any:
    """A report as JSON has it: objects, lists, text and numbers."""
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    names = getattr(value, "_fields", None)
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return value


def schema_of(kind: type, title: str) -> dict[str, Any]:
    """The JSON Schema of what `plain` makes of an object of a class."""
    known: dict[str, Any] = {}
    main = _object(kind, known)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **main, "$defs": known}


def _object(kind: type, known: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    names = [each.name for each in fields(kind)] if is_dataclass(kind) else list(getattr(kind, "_fields", ()))
    said = _said(kind)
    properties = {name: {"description": said[name], **_value(hints[name], known)} for name in names}
    summary = (kind.__doc__ or "").partition("\n")[0]
    return {
        "description": summary,
        "type": "object",
        "required": names,
        "properties": properties,
    }


def _said(kind: type) -> dict[str, str]:
    """What the documentation of a class says of its attributes."""
    text = re.sub(r"^ {4}", "", kind.__doc__ or "", flags=re.MULTILINE).partition("Attributes:\n")[2]
    return {match["name"]: " ".join(match["text"].split()) for match in _ATTRIBUTE.finditer(text)}


def _value(hint: Any, known: dict[str, Any]) -> dict[str, Any]:
    if hint in _TYPES:
        return {"type": _TYPES[hint]}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return {"anyOf": [_value(each, known) for each in arguments]}
    if origin is list:
        return {"type": "array", "items": _value(arguments[0], known)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _value(arguments[1], known)}
    if hint.__name__ not in known:
        known[hint.__name__] = {}  # so that it is not begun again inside of itself
        known[hint.__name__] = _object(hint, known)
    return {"$ref": f"#/$defs/{hint.__name__}"}
