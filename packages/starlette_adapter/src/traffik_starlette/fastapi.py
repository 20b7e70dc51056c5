"""`ThrottledRoute`: `@throttled` refuses before FastAPI reads the body. This module needs FastAPI."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from traffik_starlette.decorator import hits_of

__all__ = ["ThrottledRoute"]


class ThrottledRoute(APIRoute):
    """A route that hits the throttles of its decorators before anything else.

    FastAPI reads the whole body of a request before it calls an endpoint or a dependency. With this class a refused
    client does not have to send the whole body.

        app.router.route_class = ThrottledRoute
        router = APIRouter(route_class=ThrottledRoute)

    Dependencies are still called after the body.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        hits = hits_of(self.endpoint)
        if not hits:
            return handle

        async def hit_before(request: Request) -> Response:
            for hit in hits:
                answer = await hit(request)
                if isinstance(answer, Response):
                    return answer
            return await handle(request)

        return hit_before
