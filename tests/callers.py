"""Clients that call an ASGI app without a server, on any event loop and from any address."""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

PEER = "192.0.2.1"
DENIAL = {"extensions": {"websocket.http.response": {}}}
"""In the scope of a server that can answer a WebSocket with a status before it is accepted."""


@asynccontextmanager
async def calling(app: Any, peer: str | None = PEER, *, raising: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """A client at the address `peer`, or without an address. Errors without a handler are raised, or give a 500."""
    client: Any = None if peer is None else (peer, 50_000)
    transport = httpx.ASGITransport(app, client=client, raise_app_exceptions=raising)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as caller:
        yield caller


async def get(app: Any, path: str = "/", peer: str | None = PEER, **options: Any) -> httpx.Response:
    """Send one GET."""
    async with calling(app, peer) as caller:
        return await caller.get(path, **options)


async def statuses(app: Any, *paths: str, peer: str | None = PEER) -> list[int]:
    """Send requests one after another; their statuses."""
    async with calling(app, peer) as caller:
        return [(await caller.get(path)).status_code for path in paths]


async def converse(app: Any, *texts: str, path: str = "/", **scope: Any) -> list[MutableMapping[str, Any]]:
    """Connect a WebSocket, send `texts` and disconnect; the ASGI messages that the app has sent."""
    messages = [{"type": "websocket.receive", "text": text} for text in texts]
    incoming = [{"type": "websocket.connect"}, *messages, {"type": "websocket.disconnect", "code": 1000}]
    got: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return incoming.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        got.append(message)

    connection = {"type": "websocket", "path": path, "headers": [], "client": (PEER, 50_000), "query_string": b""}
    await app({**connection, "raw_path": path.encode(), "root_path": "", "subprotocols": [], **scope}, receive, send)
    return got
