"""A client middleware for aiohttp that paces requests: ``aiohttp.ClientSession(middlewares=[pace(limiter)])``.

Needs aiohttp 3.12 or later, the first version with client middlewares.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

try:
    from aiohttp.payload import BytesPayload
except ModuleNotFoundError as _missing:
    raise ImportError(
        "this middleware needs aiohttp: pip install 'traffik-core[aiohttp]'", name=_missing.name
    ) from _missing

from traffik.limits.limiter import Limiter
from traffik.pacing.pacer import IDEMPOTENT, KeyOption, Pacer, by_host

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse

__all__ = ["pace"]


class _Exchange:
    """A request of aiohttp, for the pacer."""

    def __init__(self, request: ClientRequest, handler: ClientHandlerType) -> None:
        self.request = request
        self.method = request.method
        self.repeatable = isinstance(request.body, bytes | BytesPayload)
        self._handler = handler

    async def send(self) -> ClientResponse:
        return await self._handler(self.request)

    def read(self, response: ClientResponse) -> tuple[int, Iterable[tuple[str, str]]]:
        return response.status, response.headers.items()

    async def discard(self, response: ClientResponse) -> None:
        response.release()


def pace(
    limiter: Limiter,
    key: KeyOption = by_host,
    *,
    retries: int = 2,
    longest_pause: float = 60.0,
    timeout: float | None = None,
    methods: Collection[str] = IDEMPOTENT,
) -> ClientMiddlewareType:
    """A middleware that sends a request when a limiter and the server allow it.

    The total timeout of the session, 5 minutes if you set none, includes the time that a request waits here.

    Args:
        limiter: waited for before each request; its rate is the one at which you may call the API.
        key: a function of the `aiohttp.ClientRequest` that answers whose quota it takes; the host of its URL if not
            given.
        retries: how often a request is repeated that is answered with 429, or with 503 and a wait; from 0. Only
            requests are repeated whose method is one of `methods` and whose body is in memory.
        longest_pause: seconds, above 0, to which the waits that servers ask for are cut.
        timeout: seconds that a request may wait in all, from 0; None for as long as it takes. One that would wait
            longer raises a `WaitTimeoutError`.
        methods: of the requests that may be repeated; by default those that are idempotent.

    Raises:
        TypeError, ValueError: an argument is none of the above.
    """
    pacer = Pacer(limiter, key, retries=retries, longest_pause=longest_pause, timeout=timeout, methods=methods)

    async def paced(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        return await pacer.send(_Exchange(request, handler))

    return paced
