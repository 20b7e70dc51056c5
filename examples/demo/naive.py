"""A limiter as many write it first, to compare with: a counter for each client in this process, new each minute."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


class NaiveLimiter:
    """A number of requests in each minute of the clock."""

    def __init__(self, limit: int, now: Callable[[], float] = time.time) -> None:
        self.limit, self.now = limit, now
        self.counts: Counter[tuple[str, int]] = Counter()

    def hit(self, client: str) -> bool:
        minute = int(self.now() // 60)
        self.counts[client, minute] += 1
        return self.counts[client, minute] <= self.limit


limiter = NaiveLimiter(12)


async def quotes(request: Request) -> Response:
    peer = request.client.host if request.client else ""
    if limiter.hit(request.headers.get("X-Forwarded-For", peer)):
        return JSONResponse({"worker": os.getpid()})
    return PlainTextResponse("Too many requests", 429)


app = Starlette(routes=[Route("/quotes", quotes)])
