"""One connection of async code, on asyncio: replies go to whoever sent, in the order of the sending.

No task reads it: the event loop hands over what arrives. So nobody who waits can leave a reply behind for another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from traffik.backends.redis.settings import Endpoint
from traffik.backends.redis.wire import MORE, Command, ProtocolError, pack, reader, shortened
from traffik.model.errors import BackendError

__all__ = ["AsyncLink", "Landed", "asked"]

Landed: TypeAlias = Callable[["list[Any] | BackendError"], None]
"""Takes the replies, or the error that came instead of them."""


class AsyncLink(asyncio.Protocol):
    """One connection; replies go to whoever sent, in the order of the sending."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._reader = reader()
        self._awaited: deque[tuple[int, Landed]] = deque()
        self._replies: list[Any] = []
        self._transport: asyncio.Transport
        self.lost: BackendError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, payload: bytes, replies: int, done: Landed) -> None:
        """Send, and call `done` once with so many replies, or with the error that came instead."""
        self._awaited.append((replies, done))
        self._transport.write(payload)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while self._awaited and (reply := self._reader.gets()) is not MORE:
                self._replies.append(reply)
                if len(self._replies) == self._awaited[0][0]:
                    replies, self._replies = self._replies, []
                    self._awaited.popleft()[1](replies)
        except (ProtocolError, TypeError) as error:  # a TypeError is hiredis's for a map with keys that cannot be one
            text = f"{self._endpoint} does not speak the protocol of Redis ({error})"
            self.drop(BackendError(text, maybe_executed=True))
        else:
            # What nobody has asked for must not be the answer to what somebody asks next.
            if not self._awaited and self._reader.has_data():
                self.drop(BackendError(f"{self._endpoint} said unasked {shortened(self._reader.gets())}"))

    def connection_lost(self, exc: Exception | None) -> None:
        text = f"the connection to {self._endpoint} was lost ({exc or 'closed by the server'})"
        self.drop(BackendError(text, maybe_executed=True))

    def drop(self, error: BackendError) -> None:
        """Close at once; whoever waits for a reply gets `error`."""
        if self.lost is None:
            self.lost = error
            self._transport.abort()
            while self._awaited:
                self._awaited.popleft()[1](error)


async def asked(link: AsyncLink, commands: Sequence[Command]) -> list[Any]:
    """The replies to `commands` over a connection that nobody else uses yet."""
    if link.lost is not None:
        raise link.lost
    if not commands:
        return []
    answer: asyncio.Future[list[Any] | BackendError] = asyncio.get_running_loop().create_future()

    def done(replies: list[Any] | BackendError) -> None:
        if not answer.done():
            answer.set_result(replies)

    try:
        link.send(pack(commands), len(commands), done)
        replies = await answer
    except BaseException:
        link.drop(BackendError("nobody waits for the answer any more"))
        raise
    if isinstance(replies, BackendError):
        raise replies
    return replies
