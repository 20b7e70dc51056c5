"""What a limit does with twelve requests that one client sends at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI, HTTPException, WebSocket
from starlette.requests import Request

from tests.callers import PEER, calling, converse
from traffik import HTTPThrottle, Throttled, group, is_throttled
from traffik_starlette import Throttled as ThrottledHTTP

ALL = 12

_numbers = count()


def starlette_request(method: str = "GET", path: str = "/", peer: str = PEER, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "client": (peer, 50_000)}
    return Request({**scope, "query_string": b"", "root_path": "", "http_version": "1.1"})


def hits(limit: Any, make: Any = starlette_request, **request: str) -> int:
    """How many of twelve requests a throttle admits."""
    admitted = 0
    for _ in range(ALL):
        try:
            limit.sync.hit(make(**request))
        except (Throttled, ThrottledHTTP):
            continue
        admitted += 1
    return admitted


def each(limit: Any, *requests: dict[str, str]) -> list[int]:
    """How many of twelve requests of each kind a throttle admits."""
    return [hits(limit, **request) for request in requests]


def refused(limit: Any) -> tuple[int, Any]:
    """The status and the detail of a refusal."""
    with pytest.raises(HTTPException) as caught:
        limit.sync.hit(starlette_request(), cost=1000)
    return caught.value.status_code, caught.value.detail


def echoed(throttle: Any) -> list[str]:
    """Which of three messages a WebSocket echoes."""
    app = FastAPI()

    @app.websocket("/")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await throttle.hit(websocket)
            if not is_throttled(websocket):
                await websocket.send_text(text)

    sent = asyncio.run(converse(app, "a", "b", "c"))
    return [message["text"] for message in sent if message.get("text") in {"a", "b", "c"}]


def fields(limit: Any, make: Any = starlette_request) -> list[str]:
    """The names of the header fields of a throttle."""
    decision = limit.sync.decide(make())
    return [name for name, _ in limit.policies(decision).headers(decision)]


def client(identifier: Any, make: Any = starlette_request, **request: str) -> str:
    """The client that an identifier takes for the sender of a request."""
    return str(identifier(make(**request)))


def answers(app: Any, method: str = "GET", path: str = "/", **headers: str) -> list[Any]:
    """The twelve responses of an ASGI application."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}

    async def ask() -> list[Any]:
        async with calling(app) as caller:
            return [await caller.request(method, path, headers=sent) for _ in range(ALL)]

    return asyncio.run(ask())


def served(app: Any, **request: str) -> int:
    """How many of twelve requests an ASGI application answers, and not with 429."""
    return sum(answer.status_code != 429 for answer in answers(app, **request))


def decorated(decorator: Any) -> FastAPI:
    """An application whose one endpoint has the decorator."""

    @decorator
    async def endpoint() -> str:
        return "served"

    app = FastAPI()
    app.add_api_route("/", endpoint, methods=["GET", "POST"])
    return app


def limited(decorator: Any, *requests: dict[str, str]) -> list[int]:
    """How many of twelve requests of each kind an endpoint with the decorator answers."""
    app = decorated(decorator)
    return [served(app, **request) for request in requests or ({},)]


class Doing(NamedTuple):
    """A probe of an expression that does something.

    It gets a function that evaluates the expression, and the names of the programs on the page.
    """

    probe: Callable[[Callable[[], Any], dict[str, Any]], Any]


def around(change: Callable[[], Any], names: dict[str, Any]) -> list[int]:
    """How many of twelve requests a throttle admits before the change, and of twelve more after it."""
    limit = HTTPThrottle(f"changed:{next(_numbers)}", "9/min")
    before = hits(limit)
    change()
    after = hits(limit)
    group("*").enable()
    return [before, after]
