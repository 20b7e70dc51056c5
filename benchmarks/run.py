"""Run the benchmarks: all of them, or those named.

python benchmarks/run.py [name ...] [--json FILE] [--strict]

A missed goal is only reported, unless --strict makes it an error.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

from measure import Result
from report import document, show
from rich.console import Console

NAMES = (
    "decision",
    "request",
    "forms",
    "composing",
    "aiohttp_handler",
    "keys",
    "route",
    "django_view",
    "server",
    "memory",
    "lmdb_store",
    "redis_store",
    "slices",
    "events",
    "imports",
    "replay",
)


def main() -> int:
    parser = argparse.ArgumentParser(description="What a hit costs, as ratios to a floor measured in the same run.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(NAMES)}; all of them if none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--strict", action="store_true", help="a missed goal is an error")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")

    console = Console(width=None if sys.stdout.isatty() else 150)
    titles: dict[str, str] = {}
    results: dict[str, list[Result]] = {}
    for name in options.names or NAMES:
        benchmark = import_module(name)
        titles[name] = benchmark.TITLE
        with console.status(f"{name}: {benchmark.TITLE}"):
            results[name] = benchmark.measure()
    show(console, titles, results)
    if options.json:
        options.json.write_text(json.dumps(document(results), indent=2, ensure_ascii=False) + "\n")
    missed = any(line.met is False for lines in results.values() for line in lines)
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
