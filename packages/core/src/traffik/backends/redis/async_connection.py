"""A connection for async code, on asyncio. Replies are passed to the senders in the order of sending.

The event loop calls it with the received data, and no task reads. So the reply of a cancelled caller cannot reach
another caller.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any, TypeAlias, cast

from traffik.backends.redis.lookups import look_up
from traffik.backends.redis.protocol import MORE, UNREADABLE, Command, pack, reader, shortened, unreadable
from traffik.backends.redis.settings import Endpoint
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["AsyncConnection", "Landed"]

Landed: TypeAlias = Callable[["list[Any] | BackendError"], None]
"""A function of the replies, or of the error if there are none."""


class AsyncConnection(asyncio.Protocol):
    """One connection. After an error, which is in `lost`, nothing can be sent."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._reader = reader()
        self._awaited: deque[tuple[int, Landed]] = deque()
        self._replies: list[Any] = []
        self._transport: asyncio.Transport
        self.lost: BackendError | None = None

    @classmethod
    async def connect(cls, endpoint: Endpoint, tls: ssl.SSLContext | None, deadline: float) -> AsyncConnection:
        """A connection to `endpoint`; see `Connect`."""
        loop, make = asyncio.get_running_loop(), partial(cls, endpoint)
        async with asyncio.timeout(deadline - monotonic()):
            if endpoint.path is not None:
                _, connection = await loop.create_unix_connection(make, endpoint.path)
            else:
                connection = await _reached(make, endpoint, tls, deadline)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, payload: bytes, replies: int, landed: Landed) -> None:
        """Send `payload`, and call `landed` once with the number of `replies`, or with an error."""
        self._awaited.append((replies, landed))
        self._transport.write(payload)

    async def ask(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        if self.lost is not None:
            raise self.lost
        answer: asyncio.Future[list[Any] | BackendError] = asyncio.get_running_loop().create_future()

        def landed(replies: list[Any] | BackendError) -> None:
            if not answer.done():
                answer.set_result(replies)

        try:
            async with asyncio.timeout(deadline - monotonic()):
                self.send(pack(commands), len(commands), landed)
                replies = await answer
        except TimeoutError:
            self.close()
            raise BackendTimeoutError(f"{self._endpoint} did not answer in time", maybe_executed=True) from None
        except BaseException:
            self.close()
            raise
        if isinstance(replies, BackendError):
            raise replies
        return replies

    def data_received(self, data: bytes) -> None:
        trouble: BackendError | None = None
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not MORE:
                self._replies.append(reply)
        except UNREADABLE as error:
            trouble = unreadable(self._endpoint, error)
        ready: list[tuple[Landed, list[Any]]] = []
        while self._awaited and len(self._replies) >= self._awaited[0][0]:
            count, landed = self._awaited.popleft()
            ready.append((landed, self._replies[:count]))
            del self._replies[:count]
        # a reply without a command must not be taken for the reply to the next command
        if not self._awaited and (self._replies or self._reader.has_data()):
            reply = shortened(self._replies[0]) if self._replies else "a part of a reply"
            trouble = trouble or BackendError(f"{self._endpoint} sent an unexpected reply: {reply}")
        self.lost = self.lost or trouble
        for landed, replies in ready:
            landed(replies)
        if trouble is not None:
            self.drop(trouble)

    def connection_lost(self, exc: Exception | None) -> None:
        text = f"the connection to {self._endpoint} was lost ({exc or 'closed by the server'})"
        self.drop(BackendError(text, maybe_executed=True))

    def close(self) -> None:
        self.drop(BackendError("the connection was closed", maybe_executed=True))

    def drop(self, error: BackendError) -> None:
        """Close at once. Senders that still wait for replies get `error`."""
        self.lost = self.lost or error
        self._transport.abort()
        while self._awaited:
            self._awaited.popleft()[1](error)


async def _reached(
    make: Callable[[], AsyncConnection], endpoint: Endpoint, tls: ssl.SSLContext | None, deadline: float
) -> AsyncConnection:
    """A connection to the first address of an endpoint that answers in its share of the time."""
    error: OSError = OSError("there is no address")
    name = None if tls is None else endpoint.host
    found = await asyncio.wrap_future(look_up(endpoint))
    loop = asyncio.get_running_loop()
    for place, (family, _, _, _, address) in enumerate(found):
        try:
            async with asyncio.timeout((deadline - monotonic()) / (len(found) - place)):
                _, connection = await loop.create_connection(
                    make, address[0], address[1], ssl=tls, family=family, server_hostname=name
                )
        except OSError as refused:  # a TimeoutError too
            error = refused
        else:
            return connection
    raise error
