"""A FastAPI service that runs as many processes, on many machines, with one quota for each client.

From the root of the repository, with a Redis or Valkey on this machine or where TRAFFIK_REDIS_URL says:

    uvicorn examples.redis_app:app --workers 4
    curl -i -H "X-API-Key: ada-key" localhost:8000/quotes
    curl localhost:8000/health

Change a limit in all processes, and return to the rate below:

    traffik change quotes 24/min --namespace quotes --store redis://localhost:6379/0
    traffik change quotes --withdraw --namespace quotes --store redis://localhost:6379/0
"""

from __future__ import annotations

import os
from typing import Final

from fastapi import Depends, FastAPI, HTTPException, Request

from traffik.backends.redis import DenyCache, RedisBackend
from traffik_starlette import HTTPThrottle, ThrottleMiddleware

OWNERS: Final = {"ada-key": "ada", "bob-key": "bob", "eve-key": "eve"}
QUOTES: Final = ["Festina lente.", "Less haste, more speed.", "Everything in its time."]
PROCESSES: Final = 4

backend = RedisBackend(
    os.environ.get("TRAFFIK_REDIS_URL", "redis://localhost:6379/0"),
    namespace="quotes",
    deny_cache=DenyCache(),  # refused hits of a flooding client do not reach Redis
    on_error="fallback",  # without Redis each process counts by itself,
    fallback_share=1 / PROCESSES,  # so that all of them together admit about the limit
)
app = FastAPI(title="Quotes of a fleet", lifespan=backend.lifespan)
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
async def quotes() -> list[str]:
    """Counted by all processes together."""
    return QUOTES


@app.get("/search", dependencies=[Depends(search_throttle)])
def search(word: str) -> list[str]:
    """Two limits in one decision, one key and one round trip."""
    return [quote for quote in QUOTES if word.lower() in quote.lower()]


@app.get("/health")
async def health() -> dict[str, int]:
    """The number of decisions that this process has made without Redis, by reason; empty if Redis always answered."""
    return dict(backend.degraded)
