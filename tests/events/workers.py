"""Workers that share a store and have separate metrics, and the sum of their counts."""

from __future__ import annotations

from importlib import import_module

from tests.apart import apart
from tests.events.scraping import exporting
from traffik import Limiter

WORKERS = 4


def counts_of_four(kind, name, place):
    """Let four workers make 100 hits under a limit of 50; the numbers counted as admitted and as refused."""
    with apart().Pool(WORKERS, maxtasksperchild=1) as pool:
        counts = pool.starmap(_work, [(kind, name, str(place))] * WORKERS, chunksize=1)
    return tuple(map(sum, zip(*counts, strict=True)))


def _work(kind, name, place):
    with getattr(import_module(f"traffik.backends.{kind}"), name)(place) as store, exporting() as exported:
        limiter = Limiter("shared", "50/hour", backend=store)
        for _ in range(25):
            limiter.sync.hit("ada")
        scraped = exported.scrape()
    return [int(scraped.get(("traffik_decisions_total", outcome, "shared"), 0)) for outcome in ("admitted", "refused")]
