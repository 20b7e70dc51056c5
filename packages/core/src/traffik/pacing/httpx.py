"""Transports for httpx that pace requests: ``httpx.AsyncClient(transport=AsyncPacedTransport(limiter))``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from types import TracebackType
from typing import TYPE_CHECKING

try:
    import httpx
except ModuleNotFoundError as _missing:
    raise ImportError(
        "these transports need httpx: pip install 'traffik-core[httpx]'", name=_missing.name
    ) from _missing

from traffik.limits.limiter import Limiter
from traffik.model.coroutines import run_sync
from traffik.pacing.pacer import IDEMPOTENT, KeyOption, Pacer, by_host

if TYPE_CHECKING:
    from typing import Self

__all__ = ["AsyncPacedTransport", "PacedTransport"]


class _Exchange:
    """A request of httpx, for the pacer."""

    def __init__(self, request: httpx.Request) -> None:
        self.request = request
        self.method = request.method
        self.repeatable = isinstance(request.stream, httpx.ByteStream)

    def read(self, response: httpx.Response) -> tuple[int, Iterable[tuple[str, str]]]:
        return response.status_code, response.headers.multi_items()


class _SyncExchange(_Exchange):
    def __init__(self, request: httpx.Request, transport: httpx.BaseTransport) -> None:
        super().__init__(request)
        self._transport = transport

    async def send(self) -> httpx.Response:
        return self._transport.handle_request(self.request)

    async def discard(self, response: httpx.Response) -> None:
        response.close()


class _AsyncExchange(_Exchange):
    def __init__(self, request: httpx.Request, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(request)
        self._transport = transport

    async def send(self) -> httpx.Response:
        return await self._transport.handle_async_request(self.request)

    async def discard(self, response: httpx.Response) -> None:
        await response.aclose()


class PacedTransport(httpx.BaseTransport):
    """A transport for `httpx.Client` that sends a request when a limiter and the server allow it.

    Args:
        limiter: waited for before each request; its rate is the one at which you may call the API.
        key: a function of the `httpx.Request` that answers whose quota it takes; the host of its URL if not given.
        transport: sends the requests; a new `httpx.HTTPTransport()` if None.
        retries: how often a request is repeated that is answered with 429, or with 503 and a wait; from 0. Only
            requests are repeated whose method is one of `methods` and whose body is in memory.
        longest_pause: seconds, above 0, to which the waits that servers ask for are cut.
        timeout: seconds that a request may wait in all, from 0; None for as long as it takes. (The timeouts of httpx
            begin when the request is sent.)
        methods: of the requests that may be repeated; by default those that are idempotent.

    A request that would wait longer than `timeout` raises a `WaitTimeoutError`, and a thread in which an event loop
    runs a `ConfigurationError`.

    Raises:
        TypeError, ValueError: an argument is none of the above.
    """

    def __init__(
        self,
        limiter: Limiter,
        key: KeyOption = by_host,
        *,
        transport: httpx.BaseTransport | None = None,
        retries: int = 2,
        longest_pause: float = 60.0,
        timeout: float | None = None,
        methods: Collection[str] = IDEMPOTENT,
    ) -> None:
        self._pacer = Pacer(
            limiter, key, retries=retries, longest_pause=longest_pause, timeout=timeout, methods=methods
        )
        self._transport = httpx.HTTPTransport() if transport is None else transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return run_sync(self._pacer.send(_SyncExchange(request, self._transport), sync=True))

    def __enter__(self) -> Self:
        self._transport.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._transport.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        self._transport.close()


class AsyncPacedTransport(httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient`, under asyncio and trio; takes what `PacedTransport` takes.

    Its own transport is an `httpx.AsyncHTTPTransport()` if none is given.
    """

    def __init__(
        self,
        limiter: Limiter,
        key: KeyOption = by_host,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        retries: int = 2,
        longest_pause: float = 60.0,
        timeout: float | None = None,
        methods: Collection[str] = IDEMPOTENT,
    ) -> None:
        self._pacer = Pacer(
            limiter, key, retries=retries, longest_pause=longest_pause, timeout=timeout, methods=methods
        )
        self._transport = httpx.AsyncHTTPTransport() if transport is None else transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._pacer.send(_AsyncExchange(request, self._transport))

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._transport.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        await self._transport.aclose()
