"""Compares traffik with other limiters: ``python run.py --ours PYTHON --upstream PYTHON [--only PART]``.

Each contestant runs in its own processes, in turn, in rounds, so that a busy moment slows all of them down. The
results are written into `results.json` after every part, and at the end into `benchmarks/RESULTS.md` and docs/.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from contestants import CONTESTANTS

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent.parent))
FOUND, PAGE = HERE / "results.json", HERE.parent / "RESULTS.md"
DOCS = HERE.parent.parent / "docs" / "compare.md"
PARTS = ("delivered", "memory", "redis", "exact")
ROUNDS = 5
PATIENCE = 60  # seconds for one process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True, help="the Python with the release called traffik")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part again")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    pythons = [options.upstream if each.distribution == "traffik" else sys.executable for each in CONTESTANTS]
    found = json.loads(FOUND.read_text()) if options.only and FOUND.exists() else {}
    for part in options.only or PARTS:
        found[part] = measured(part, pythons, options.rounds)
        found |= {
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "python": platform.python_version(),
            "versions": versions(),
        }
        FOUND.write_text(json.dumps(found, indent=2) + "\n")
    PAGE.write_text(page(found))
    DOCS.write_text(page(found) + OTHERS)


def measured(part: str, pythons: list[str], rounds: int) -> list[Any]:
    """What each contestant did in a part."""
    if part in {"memory", "delivered"}:
        turns = [[ask(place, part, python) for place, python in enumerate(pythons)] for _ in range(times(part, rounds))]
        return [summary(list(each)) for each in zip(*turns, strict=True)]
    from tests.backends.redis.servers import server

    with server() as redis:
        url = redis.url
        if part == "redis":
            turns = [[fresh(redis, place, python) for place, python in enumerate(pythons)] for _ in range(rounds)]
            return [summary(list(each)) for each in zip(*turns, strict=True)]
        found = []
        for place, python in enumerate(pythons):
            redis.command("FLUSHALL")
            found.append(together(place, python, url))
        return found


def fresh(redis: Any, place: int, python: str) -> dict[str, Any]:
    """The hits a second on a server without keys."""
    redis.command("FLUSHALL")
    return ask(place, "redis", python, redis.url)


def times(part: str, rounds: int) -> int:
    return 1 if part == "delivered" else rounds


def command(place: int, part: str, python: str, url: str) -> list[str]:
    return [python, str(HERE / "one.py"), str(place), part, url]


def ask(place: int, part: str, python: str, url: str = "") -> dict[str, Any]:
    """What one process printed."""
    try:
        asked = command(place, part, python, url)
        done = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return {"failed": f"no result within {PATIENCE} s"}
    return answer(done.stdout, done.stderr)


def answer(out: str, err: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        return {"failed": (err.strip() or "it printed nothing").splitlines()[-1]}
    return found


def together(place: int, python: str, url: str) -> dict[str, Any]:
    """How many of 1,200 hits of four processes a limit of 100 admits."""
    running = [
        subprocess.Popen(
            command(place, "exact", python, url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    answers = [answer(*each.communicate(timeout=PATIENCE)) for each in running]
    failed = [each for each in answers if "failed" in each]
    return failed[0] if failed else {"admitted": sum(each["admitted"] for each in answers)}


def summary(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure, with the lowest and the highest."""
    good = [each for each in turns if "failed" not in each]
    if not good or not all(isinstance(value, float) for value in good[0].values()):
        return good[0] if good else turns[0]
    return {
        key: [median(each[key] for each in good), min(each[key] for each in good), max(each[key] for each in good)]
        for key in good[0]
    }


def versions() -> dict[str, str]:
    found = {"traffik": "1.2.2"}
    for each in CONTESTANTS:
        try:
            found.setdefault(each.distribution, version(each.distribution))
        except PackageNotFoundError:
            continue
    return found


def page(found: dict[str, Any]) -> str:
    """The results as a page."""
    parts = [HEAD.format(**found)]
    if "delivered" in found:
        rows = [delivered_row(found["delivered"][place]) for place in range(len(CONTESTANTS))]
        parts += ["## The number you write\n", DELIVERED, table(("1/min", "2/min", "5/min", "100/min"), rows)]
    if "memory" in found:
        ours = found["memory"][0]["us"][0]
        rows = [memory_row(each, ours) for each in found["memory"]]
        parts += ["## A decision in memory\n", MEMORY, table(("to traffik", "µs", "lowest – highest"), rows)]
    if "redis" in found:
        rows = [redis_row(each, found["redis"][0]) for each in found["redis"]]
        parts += ["## Hits on one Redis\n", REDIS, table(("1 caller", "16 callers", "128 callers"), rows)]
    if "exact" in found:
        rows = [[f"{each['admitted']:.0f}"] if "admitted" in each else [why(each)] for each in found["exact"]]
        parts += ["## Four processes, one limit of 100\n", EXACT, table(("admitted",), rows)]
    names = "\n".join(f"- {name} {number}" for name, number in found["versions"].items())
    return "\n".join([*parts, "## Versions\n", names]) + "\n"


HEAD = """# How traffik compares

Measured on {date} with Python {python} by `python3 noxfile.py -s bench -- peers`. Each limiter is used as its own
documentation says, in its own processes, in turn. A part that a limiter does not have, or in which it failed, says
why.
"""
DELIVERED = """A client comes as often as it may for 30 minutes, on a moved clock: the share of the rate that it gets,
and the longest wait that a refusal gives (– if it gives none). The third figure is the most that any minute admits of a
client that comes once, then just before a minute is over, and then as often as it may.
"""
MEMORY = """One async hit that is admitted, as a multiple of traffik's default. Limiters with one bucket for all keys
look up no key.
"""
REDIS = "Hits a second, and as a multiple of traffik's default, on one server on this machine.\n"
EXACT = "Four processes hit a limit of 100 a minute 300 times each, as fast as they can, on one Redis.\n"


OTHERS = """
## What others have

- **limits** has storages for Memcached, MongoDB and etcd.
- **throttled-py** has a leaky bucket that shapes traffic by itself; here, [`wait`](waiting.md) does.
- **pyrate-limiter** has buckets in SQLite and PostgreSQL.
- **aiolimiter** is small, and enough for one program that calls one API.
- **slowapi** and **fastapi-limiter** have been in use for years, so many answers about them are to be found.

How each call of theirs is written here: [migrating](migrate/slowapi.md).
"""


def table(columns: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [f"| limiter | algorithm | {' | '.join(columns)} |", f"|{'---|' * (len(columns) + 2)}"]
    for each, row in zip(CONTESTANTS, rows, strict=True):
        cells = row + [""] * (len(columns) - len(row))
        lines.append(f"| {each.name} | {each.algorithm} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def delivered_row(each: dict[str, Any]) -> list[str]:
    if "failed" in each:
        return [why(each)]
    rows = (each[limit] for limit in ("1", "2", "5", "100"))
    return [
        f"{row['share']:.0%}, {row['wait']:.0f} s, {row['fullest']}"
        if row["wait"]
        else f"{row['share']:.0%}, –, {row['fullest']}"
        for row in rows
    ]


def memory_row(each: dict[str, Any], ours: float) -> list[str]:
    if "failed" in each:
        return [why(each)]
    middle, low, high = each["us"]
    return [f"{middle / ours:.1f} ×", f"{middle:.1f}", f"{low:.1f} – {high:.1f}"]


def redis_row(each: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    if "failed" in each:
        return [why(each)]
    return [f"{each[key][0]:,.0f} ({each[key][0] / ours[key][0]:.2f} ×)" for key in ("1", "16", "128")]


def why(each: dict[str, Any]) -> str:
    kind, _, reason = each["failed"].partition(": ")
    return reason if kind == "NotImplementedError" else f"failed: {each['failed'][:120]}"


if __name__ == "__main__":
    main()
