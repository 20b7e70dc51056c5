"""Workers that share a store and have separate metrics, and the sum of their counts."""

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
    """Let four workers make 100 hits under a limit of 50; the numbers counted as admitted and as refused."""
    command = [sys.executable, "-c", WORKER.format(kind=kind, name=name), str(place)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(4)]
    counts = [map(int, worker.communicate(timeout=60)[0].split()) for worker in workers]
    return tuple(map(sum, zip(*counts, strict=True)))
