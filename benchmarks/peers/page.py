"""The results as tables, and their figures in the pages that name them.

Such a figure stands between ``<!-- peers NAME -->`` and ``<!-- /peers -->``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple, TypeAlias

from contestants import CONTESTANTS

__all__ = ["PAGES", "RESULTS", "SECTIONS", "Rounds", "figures", "numbers", "page", "ratios", "rendered", "write"]

Rounds: TypeAlias = dict[str, dict[str, list[Any]]]
"""What was measured in a part: contestant, figure, and a number for each round, or a reason why there is none."""

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results.json"
PAGES = (ROOT / "README.md", ROOT / "docs" / "compare.md")
OURS = CONTESTANTS[0].key
_MARKED = re.compile(r"(<!-- peers ([\w-]+) -->)(.*?)(<!-- /peers -->)", re.DOTALL)


def numbers(values: Sequence[Any]) -> list[float]:
    return [each for each in values if isinstance(each, int | float)]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, lower quartile, upper quartile."""
    if len(values) < 2:
        return (values[0],) * 3
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return middle, low, high


def ratios(part: Rounds, key: str, figure: str) -> list[float]:
    """A figure to that of traffik's default, each within its round."""
    theirs, ours = part.get(key, {}).get(figure, ()), part.get(OURS, {}).get(figure, ())
    pairs = zip(theirs, ours, strict=False)
    return [one / other for one, other in pairs if numbers([one, other]) == [one, other]]


def reason(figures: Mapping[str, list[Any]], figure: str) -> str:
    """Why there is no such figure."""
    for name in (figure, ""):
        for each in figures.get(name, ()):
            if isinstance(each, str) and each:
                return each
    return "–"


def cell(figures: Mapping[str, list[Any]], figure: str, places: int = 1, unit: str = "") -> str:
    """The median with its quartiles."""
    if not (values := numbers(figures.get(figure, ()))):
        return reason(figures, figure)
    middle, low, high = spread(values)
    between = "" if len(values) < 2 else f" ({low:,.{places}f} – {high:,.{places}f})"
    return f"{middle:,.{places}f}{unit}{between}"


def to_ours(part: Rounds, key: str, figure: str) -> str:
    found = ratios(part, key, figure)
    if not found:
        return reason(part[key], figure)
    middle, low, high = spread(found)
    between = "" if len(found) < 2 or key == OURS else f" ({low:.2f} – {high:.2f})"
    return f"{middle:.2f} ×{between}"


def table(part: Rounds, columns: Mapping[str, Callable[[str], str]]) -> str:
    """A row for each contestant that took part."""
    lines = [f"| limiter | {' | '.join(columns)} |", f"|{'---|' * (len(columns) + 1)}"]
    for each in CONTESTANTS:
        if not part.get(each.key):
            continue
        cells = [column(each.key).replace("|", "/") for column in columns.values()]
        if cells[0][:1].isalpha():  # a reason, which is said once
            cells[1:] = ["" if cell in {"–", cells[0]} else cell for cell in cells[1:]]
        lines.append(f"| {each.key} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def delivered(part: Rounds) -> str:
    def column(limit: int) -> Callable[[str], str]:
        def row(key: str) -> str:
            figures = part[key]
            if not (share := numbers(figures.get(f"{limit} share", ()))):
                return reason(figures, f"{limit} share")
            wait = numbers(figures[f"{limit} wait"])
            told = f"{wait[0]:.3g} s" if wait else "–"
            return f"{share[0]:.0%}, {told}, {figures[f'{limit} fullest'][0]}"

        return row

    return table(part, {f"{limit}/min": column(limit) for limit in (1, 2, 5, 100)})


def memory(part: Rounds) -> str:
    return table(
        part,
        {
            "async, to traffik": lambda key: to_ours(part, key, "async"),
            "µs of CPU": lambda key: cell(part[key], "async") if numbers(part[key].get("async", ())) else "",
            "sync, to traffik": lambda key: to_ours(part, key, "sync"),
            "µs of CPU ": lambda key: cell(part[key], "sync") if numbers(part[key].get("sync", ())) else "",
        },
    )


def redis(part: Rounds) -> str:
    def column(callers: str) -> Callable[[str], str]:
        def row(key: str) -> str:
            middle = numbers(part[key].get(callers, ()))
            ratio = to_ours(part, key, callers)
            return f"{median(middle):,.0f}, {ratio}" if middle else ratio

        return row

    return table(part, {f"{each} caller{'s' * (each > 1)}": column(str(each)) for each in (1, 16, 128, 512)})


def requests(part: Rounds) -> str:
    def column(kind: str) -> Callable[[str], str]:
        def row(key: str) -> str:
            added = numbers(part[key].get(f"{kind}, µs", ()))
            ratio = cell(part[key], kind, 2, " ×")
            return f"{ratio}, {median(added):+.0f} µs" if added else ratio

        return row

    kinds = ("Starlette", "FastAPI", "Django, sync", "Django, async", "aiohttp")
    return table(part, {kind: column(kind) for kind in kinds})


def server(part: Rounds) -> str:
    columns = {
        "requests a second": lambda key: cell(part[key], "a second", 0),
        "of the server without a limit": lambda key: cell(part[key], "share", 2, " ×"),
    }
    return table(part, columns)


def exact(part: Rounds) -> str:
    def row(key: str) -> str:
        found = numbers(part[key].get("admitted", ()))
        return ", ".join(f"{each:.0f}" for each in found) or reason(part[key], "admitted")

    return table(part, {"admitted, by round": row})


def held(part: Rounds) -> str:
    return table(
        part,
        {
            "bytes a client, in memory": lambda key: cell(part[key], "memory", 0),
            "in Redis": lambda key: cell(part[key], "Redis", 0),
        },
    )


def imports(part: Rounds) -> str:
    columns = {
        "to `import asyncio`": lambda key: cell(part[key], "to asyncio", 2, " ×"),
        "ms": lambda key: cell(part[key], "ms", 0),
    }
    return table(part, columns)


class Section(NamedTuple):
    """One part of the page."""

    title: str
    text: str
    render: Callable[[Rounds], str]
    picture: str = ""


SECTIONS = {
    "delivered": Section(
        "The number you write",
        """
A client comes as often as it may for 30 minutes: the share of the rate that it gets, and the longest wait that it is
given (– if it is given none; it then tries twice a second). The third number is the most that any minute admits of a
client that comes once, then just before a minute is over, and then as often as it may: an exact limiter admits the
limit. The time is moved by the program, which replaces `time.time`, `time.monotonic` and `time.perf_counter` before it
imports the limiter. A wait of a framework is its Retry-After.
""",
        delivered,
        "peers-delivered",
    ),
    "memory": Section(
        "A decision in memory",
        """
One hit that is admitted, in CPU time. Limiters with one bucket for all clients look up no client.
""",
        memory,
        "peers-memory",
    ),
    "redis": Section(
        "Hits on one Redis",
        """
Hits a second of callers in one asyncio program that each hit their own key, without a pause, on one server
(Valkey) on this machine; and to traffik.
""",
        redis,
        "peers-redis",
    ),
    "requests": Section(
        "Whole requests",
        """
A request that is admitted, called in the process as a server calls it: its CPU time to that of the same application
without a limit, and the difference. Each application is the first steps of its project's documentation. Limiters
without a part for a web framework are not in the table.
""",
        requests,
    ),
    "server": Section(
        "A real server",
        """
FastAPI under uvicorn with one process, in turns with the same application without a limit. The load comes from {load},
on 16 connections, and shares the machine with the server.
""",
        server,
    ),
    "exact": Section(
        "Four processes, one limit of 100",
        """
Four processes begin at one moment to hit a limit of 100 a minute, 300 times each, ten at once, on one Redis. An exact
limiter admits 100.
""",
        exact,
    ),
    "held": Section(
        "Memory of a client",
        """
What the process grows by for each client with one hit, and what Redis does. Frameworks are measured in memory only.
""",
        held,
    ),
    "imports": Section(
        "Import",
        """
The import that a program begins with, in a new interpreter. It is the same for all algorithms of a limiter.
""",
        imports,
    ),
}


def page(found: Mapping[str, Any], images: str) -> str:
    """All tables, with the pictures of that folder."""
    parts = [HEAD.format(**found)]
    for name, section in SECTIONS.items():
        if name not in found["parts"]:
            continue
        parts.append(f"## {section.title}\n{section.text.format(**found)}")
        if section.picture:
            parts.append(f"![{section.title}]({images}/{section.picture}.svg)\n")
        parts.append(section.render(found["parts"][name]))
    names = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return "\n".join([*parts, f"## Versions\n\n{names}"]) + "\n"


HEAD = """Measured on {date} on {machine}, with Python {python}, by
`python3 noxfile.py -s bench -- peers`. Each limiter is used as its own documentation says, in its own processes, in
turn with the others, and with its store in memory where nothing else is said. Figures are medians over the rounds, with
the quartiles in parentheses. A ratio is taken within its round. A part that a limiter does not have, or in which it
failed, says why.
"""


def figures(found: Mapping[str, Any], name: str) -> str:
    """The text of that name that stands in a page."""
    if name == "results":
        return f"\n{page(found, 'images')}"
    if name == "redis":
        part = found["parts"]["redis"]
        rate = {key: median(values) for key, each in part.items() if (values := numbers(each.get("128", ())))}
        best = max((key for key in rate if not key.startswith("traffik,")), key=lambda key: rate[key])
        return f"{1 / median(ratios(part, best, '128')):.1f} times as many hits"
    raise ValueError(f"no figure is called {name!r}; there are 'results' and 'redis'")


def rendered(text: str, found: Mapping[str, Any]) -> str:
    """A page with the figures of the results."""
    return _MARKED.sub(lambda each: f"{each[1]}{figures(found, each[2])}{each[4]}", text)


def write(found: Mapping[str, Any]) -> None:
    """Write all pages."""
    (HERE.parent / "RESULTS.md").write_text(
        f"# How traffik compares\n\n{page(found, '../docs/images')}", encoding="utf-8"
    )
    for each in PAGES:
        each.write_text(rendered(each.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    write(json.loads(RESULTS.read_text(encoding="utf-8")))
