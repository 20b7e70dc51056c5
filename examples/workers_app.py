"""A FastAPI service that runs as several workers on one machine, with one quota for each client and no server for it.

From the root of the repository:

    uvicorn examples.workers_app:app --workers 4
    curl -i -H "X-API-Key: ada-key" localhost:8000/quotes
    curl localhost:8000/health
"""

from __future__ import annotations

import os
from typing import Final

from fastapi import Depends, FastAPI, HTTPException, Request

from traffik.backends.lmdb import LMDBBackend
from traffik_starlette import HTTPThrottle, ThrottleMiddleware

OWNERS: Final = {"ada-key": "ada", "bob-key": "bob"}
QUOTES: Final = ["Festina lente.", "Less haste, more speed.", "Everything in its time."]

# Without a path the files are in memory, in a directory of this user's alone.
backend = LMDBBackend(os.environ.get("TRAFFIK_DIRECTORY"), namespace="quotes")
app = FastAPI(title="Quotes of several workers", lifespan=backend.lifespan)
app.add_middleware(ThrottleMiddleware)  # adds the RateLimit headers to admitted requests; refusals always have them


def caller(request: Request) -> str:
    """The identifier: the owner of the API key. A client cannot invent one."""
    owner = OWNERS.get(request.headers.get("X-API-Key", ""))
    if owner is None:
        raise HTTPException(401, "An X-API-Key is needed: try ada-key.")
    return owner


quotes_throttle = HTTPThrottle(uid="quotes", rate="12/min", identifier=caller)
search_throttle = HTTPThrottle(uid="search", rate="5/s; 1000/hour", identifier=caller)


@app.get("/quotes", dependencies=[Depends(quotes_throttle)])
async def quotes() -> dict[str, object]:
    """Counted by all workers together. The response tells which worker has sent it."""
    return {"quotes": QUOTES, "worker": os.getpid()}


@app.get("/search", dependencies=[Depends(search_throttle)])
def search(word: str) -> list[str]:
    """Two limits in one decision and one transaction, in sync code."""
    return [quote for quote in QUOTES if word.lower() in quote.lower()]


@app.get("/health")
async def health() -> dict[str, int]:
    """The number of inexact decisions of this worker, by reason; empty if there were none."""
    return dict(backend.degraded)
