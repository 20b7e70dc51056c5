"""How long does `import traffik` take at the start of a program?

New interpreters, one after another, each time one import. The baseline is `import asyncio`, which every async program
needs. A real program has `from traffik import HTTPThrottle`.
"""

from __future__ import annotations

import subprocess
import sys

from measure import Result, judged, rotated

__all__ = ["TITLE", "measure"]

TITLE = "to import asyncio"
ROUNDS = 15
FLOOR = "import asyncio"
PROGRAM = "from time import perf_counter_ns; start = perf_counter_ns(); {}; print(perf_counter_ns() - start)"
STATEMENTS = (
    FLOOR,
    "import traffik",
    "from traffik import Limiter",
    "from traffik import HTTPThrottle",
    "from traffik.backends.inmemory import InMemoryBackend",
)


def measure() -> list[Result]:
    """The package itself, and the names that bring the rest of it."""
    times: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for turn in range(ROUNDS + 1):
        for statement in rotated(STATEMENTS, turn):
            command = [sys.executable, "-I", "-c", PROGRAM.format(statement)]
            taken = int(subprocess.check_output(command))
            if turn:  # the first time the bytecode may have to be written
                times[statement].append(taken)
    return [
        judged(statement, times[statement], times[FLOOR], 1 / 3 if statement == "import traffik" else None)
        for statement in STATEMENTS
        if statement != FLOOR
    ]
