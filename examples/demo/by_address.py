"""A FastAPI service with one limit for each address, the default."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend

app = FastAPI(lifespan=InMemoryBackend().lifespan)
throttle = HTTPThrottle(uid="by-address", rate="12/min")


@app.get("/quotes", dependencies=[Depends(throttle)])
async def quotes() -> list[str]:
    return ["Festina lente."]
