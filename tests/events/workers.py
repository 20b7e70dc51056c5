"""Workers that share a store, each with metrics of its own, and what all of them count together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

WORKER = """
import sys
from tests.events.scraping import exporting
from traffik import Limiter
from traffik.backends.{kind} import {name}
with {name}(sys.argv[1]) as store, exporting() as exported:
    limiter = Limiter("shared", "50/hour", backend=store)
    for _ in range(25):
        limiter.sync.hit("ada")
    scraped = exported.scrape()
    print(*(int(scraped.get(("traffik_decisions_total", outcome, "shared"), 0)) for outcome in ("admitted", "refused")))
"""


def counts_of_four(kind, name, place):
    """How many of 100 hits four workers have counted as admitted, and how many as refused; the limit is 50."""
    command = [sys.executable, "-c", WORKER.format(kind=kind, name=name), str(place)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(4)]
    counts = [map(int, worker.communicate(timeout=60)[0].split()) for worker in workers]
    return tuple(map(sum, zip(*counts, strict=True)))
