"""Lua without a server, with the functions of a server's libraries that the twins use."""

from __future__ import annotations

import json
from functools import cache

import lupa.lua51
import msgpack


@cache
def runtime():
    """A Lua of the version in Redis, with shims for the libraries that the twins use."""
    lua = lupa.lua51.LuaRuntime(encoding=None, unpack_returned_tuples=True)
    libraries = {
        b"cjson": {b"decode": lambda text: lua.table_from(plain(json.loads(text)), recursive=True)},
        b"cmsgpack": {b"pack": pack, b"unpack": unpack},
        b"struct": {b"pack": struct_pack, b"unpack": struct_unpack},
    }
    for name, library in libraries.items():
        lua.globals()[name] = lua.table_from(library)
    return lua


def pack(*numbers):
    return b"".join(map(msgpack.packb, numbers))


def unpack(text):
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(text)
    numbers = list(unpacker)
    if unpacker.tell() != len(text):
        raise ValueError("missing bytes in input")
    return tuple(numbers)


@cache
def widths(layout):
    return [int(digits) for digits in layout.decode().removeprefix("<").split("I")[1:]]


def struct_pack(layout, *numbers):
    return b"".join(number.to_bytes(width, "little") for width, number in zip(widths(layout), numbers, strict=True))


def struct_unpack(layout, text, place=1):
    if not 1 <= place <= len(text) + 1 - sum(widths(layout)):
        raise ValueError("data string too short")
    found = []
    for width in widths(layout):
        found.append(int.from_bytes(text[place - 1 : place - 1 + width], "little"))
        place += width
    return (*found, place)


def plain(value):
    """A value parsed from JSON, with its text as bytes for Lua."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.encode() if isinstance(value, str) else value
