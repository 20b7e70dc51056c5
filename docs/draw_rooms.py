"""Draws the rooms and their imports into docs/design.md.

python docs/draw_rooms.py          writes the drawing
python docs/draw_rooms.py --check  fails if the drawing is out of date

The arrows come from the imports, including those for types. An arrow is left out if other arrows imply it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- rooms: drawn by draw_rooms.py -->\n", "<!-- end of rooms -->\n"

Arrows: TypeAlias = dict[str, set[str]]


def room_of(module: str) -> str:
    """The room of a module: a folder of the core, or a distribution."""
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] or top if top == "traffik" else top


def arrows() -> Arrows:
    """For each room, the rooms that it imports."""
    found: Arrows = {}
    for source in ROOT.glob("packages/*/src"):
        for path in source.rglob("*.py"):
            parts = path.relative_to(source).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            if module != "traffik":  # which only says where its names are
                rooms = {room_of(name) for name in imported(ast.parse(path.read_text()))}
                found.setdefault(room_of(module), set()).update(rooms - {room_of(module)})
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules of ours that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("traffik"):
            if node.module == "traffik":
                yield from (f"traffik.{alias.name}" for alias in node.names)
            else:
                yield node.module


def reached(start: str, found: Mapping[str, set[str]]) -> set[str]:
    """The rooms that can be reached from `start` by one arrow or more."""
    seen: set[str] = set()
    waiting = [*found.get(start, ())]
    while waiting:
        room = waiting.pop()
        if room not in seen:
            seen.add(room)
            waiting += found.get(room, ())
    return seen


def drawing() -> str:
    """The rooms as a Mermaid flowchart."""
    found = arrows()
    lines = ["```mermaid", "flowchart TD"]
    for room in sorted(found):
        direct = found[room] & found.keys()
        longer = set[str]().union(*(reached(other, found) for other in direct))
        lines += [f"    {room} --> {other}" for other in sorted(direct - longer)]
    return "\n".join([*lines, "```\n"])


def main() -> int:
    """Write the drawing, or compare it; 1 if it is out of date."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page = f"{before}{BEGIN}\n{drawing()}\n{END}{after}"
    if "--check" in sys.argv:
        return int(PAGE.read_text() != page)
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
