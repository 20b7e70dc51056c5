"""Draws the rooms and their imports into docs/images/rooms.svg.

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
IMAGE = ROOT / "docs" / "images" / "rooms.svg"
WIDTH, HEIGHT, ACROSS, DOWN = 118, 30, 134, 76  # of a box; and from box to box
TIP = '<path d="M0 0L8 4L0 8z"/></marker>'
STYLE = (
    ":root{--ink:#1f2933;--line:#7b8794;--box:#e0f2f1;--edge:#00796b}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e3e9ee;--line:#8a97a3;--box:#123f3a;--edge:#4db6ac}}"
    "text{font:13px sans-serif;fill:var(--ink);text-anchor:middle}"
    "rect{fill:var(--box);stroke:var(--edge)}path{fill:none;stroke:var(--line)}marker path{fill:var(--line)}"
)

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


def needed(found: Arrows) -> Arrows:
    """The arrows that other arrows do not imply."""
    kept: Arrows = {}
    for room in found:
        direct = found[room] & found.keys()
        longer = set[str]().union(*(reached(other, found) for other in direct))
        kept[room] = direct - longer
    return kept


def depth(room: str, kept: Arrows) -> int:
    """The rooms on the longest way down from a room."""
    return max((1 + depth(other, kept) for other in kept[room]), default=0)


def with_bends(kept: Arrows) -> tuple[Arrows, dict[str, int]]:
    """The same arrows, with a bend in each layer that one of them passes; and the layers, from below."""
    layers = {room: depth(room, kept) for room in kept}
    bent: Arrows = {room: set() for room in kept}
    for room in sorted(kept):
        for other in sorted(kept[room]):
            above = room
            for layer in range(layers[room] - 1, layers[other], -1):
                bend = f"{room} {other} {layer}"
                layers[bend] = layer
                bent[above].add(bend)
                bent[bend] = set()
                above = bend
            bent[above].add(other)
    return bent, layers


def is_bend(name: str) -> bool:
    """Whether a name in the layers is a bend of an arrow, and no room."""
    return " " in name


def places(bent: Arrows, layers: dict[str, int]) -> dict[str, tuple[float, float]]:
    """The middle of each room and bend: above what it imports, near to it."""
    rows = [sorted(each for each in bent if layers[each] == layer) for layer in range(max(layers.values()) + 1)]
    most = max(map(len, rows))
    found: dict[str, tuple[float, float]] = {}
    for layer, row in enumerate(rows):
        row.sort(key=lambda each: (sum(found[other][0] for other in bent[each]) / (len(bent[each]) or 1), each))
        for number, each in enumerate(row):
            left = (most - len(row)) / 2 + number + 0.5
            found[each] = (left * ACROSS, (len(rows) - layer - 0.5) * DOWN)
    return found


def line(where: dict[str, tuple[float, float]], one: str, other: str) -> str:
    """The line from a room or bend to another, with a tip at a room."""
    (x, y), (to_x, to_y) = where[one], where[other]
    begin = y if is_bend(one) else y + HEIGHT / 2
    end = to_y if is_bend(other) else to_y - HEIGHT / 2
    middle = (begin + end) / 2
    tip = "" if is_bend(other) else ' marker-end="url(#tip)"'
    return f'<path{tip} d="M{x:g} {begin:g}C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {end:g}"/>'


def drawing() -> str:
    """The rooms as SVG."""
    bent, layers = with_bends(needed(arrows()))
    where = places(bent, layers)
    wide = max(x for x, _ in where.values()) + ACROSS / 2
    high = max(y for _, y in where.values()) + DOWN / 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" role="img">',
        f"<title>The rooms of the code and their imports</title><style>{STYLE}</style>",
        f'<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">{TIP}',
    ]
    for one in where:
        lines += [line(where, one, other) for other in sorted(bent[one])]
    for room, (x, y) in where.items():
        if not is_bend(room):
            box = f'<rect x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
            lines.append(f'{box}<text x="{x:g}" y="{y + 4.5:g}">{room}</text>')
    return "\n".join([*lines, "</svg>\n"])


def main() -> int:
    """Write the drawing, or compare it; 1 if it is out of date."""
    if "--check" in sys.argv:
        return int(IMAGE.read_text(encoding="utf-8") != drawing())
    IMAGE.write_text(drawing(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
