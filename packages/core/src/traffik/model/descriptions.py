"""How messages show a given object: its repr, without its address in memory."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["describe"]

_ADDRESS: Final = re.compile(r"(?: at)? 0x[0-9A-Fa-f]+")


def describe(value: object) -> str:
    """The repr of `value` without addresses in memory: ``<function by_plan>``."""
    return repr(value) if isinstance(value, str) else _ADDRESS.sub("", repr(value))
