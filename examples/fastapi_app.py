"""A small FastAPI service that shows each way to add a limit.

From the root of the repository:

    uvicorn examples.fastapi_app:app
    curl -i -H "X-API-Key: ada-key" localhost:8000/quotes
"""

from __future__ import annotations

from typing import Final

from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket

from traffik import is_throttled
from traffik.backends.inmemory import InMemoryBackend
from traffik_starlette import (
    HTTPThrottle,
    Throttled,
    ThrottleMiddleware,
    WebSocketThrottle,
    answer_throttled,
    document_throttles,
    throttled,
)

OWNERS: Final = {"ada-key": "ada", "bob-key": "bob", "eve-key": "eve"}
QUOTES: Final = ["Festina lente.", "Less haste, more speed.", "Everything in its time."]

backend = InMemoryBackend()
app = FastAPI(title="Quotes", lifespan=backend.lifespan)
app.add_middleware(ThrottleMiddleware)  # adds the RateLimit headers to admitted requests; refusals always have them
app.add_exception_handler(Throttled, answer_throttled)  # has these say more, to programs and to browsers
document_throttles(app)  # has /docs tell which routes may answer 429


def caller(request: Request) -> str:
    """The identifier: the owner of the API key. A client cannot invent one."""
    owner = OWNERS.get(request.headers.get("X-API-Key", ""))
    if owner is None:
        raise HTTPException(401, "An X-API-Key is needed: try ada-key.")
    return owner


quotes_throttle = HTTPThrottle(uid="quotes", rate="10/2s", identifier=caller)
import_throttle = HTTPThrottle(uid="imports", rate="1000/min", identifier=caller)
message_throttle = WebSocketThrottle(uid="messages", rate="5/10s")  # each address has its own quota


@app.get("/quotes", dependencies=[Depends(quotes_throttle)])
async def quotes() -> list[str]:
    """A dependency: the limit is in the route."""
    return QUOTES


@app.get("/search")
@throttled("5/s; 1000/hour")
async def search(word: str) -> list[str]:
    """A decorator: two limits at once, and each address has its own quota."""
    return [quote for quote in QUOTES if word.lower() in quote.lower()]


@app.post("/imports")
async def import_quotes(request: Request, quotes: list[str]) -> dict[str, int]:
    """A call: the cost is known only after the body has been read. An empty list is free."""
    await import_throttle.hit(request, cost=len(quotes))
    return {"imported": len(quotes)}


@app.get("/status")
async def status(request: Request) -> dict[str, float | str]:
    """The quota left, without consuming any."""
    stat = await quotes_throttle.stat(request)
    assert stat is not None, "None is for strategies that cannot tell, and for the exempted"
    return {"rate": str(stat.rate), "remaining": stat.hits_remaining, "wait_ms": stat.wait_ms}


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    """Every message counts. A client that is too fast gets a message, and no echo."""
    await websocket.accept()
    async for text in websocket.iter_text():
        await message_throttle.hit(websocket)
        if not is_throttled(websocket):
            await websocket.send_text(text)
