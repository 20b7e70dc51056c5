"""The path of a paced request: one for async and sync clients of any library.

Each client library has a module here that makes an `Exchange` of a request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, Protocol, TypeAlias, TypeVar
from uuid import UUID

from traffik.limits import timing
from traffik.limits.limiter import Limiter
from traffik.limits.waiting import WaitTimeoutError, wait_for_quota
from traffik.model.decisions import Decision
from traffik.model.descriptions import describe
from traffik.model.keys import as_text
from traffik.pacing.pauses import pauses_of
from traffik.responses.retry_fields import read_wait

__all__ = ["IDEMPOTENT", "Exchange", "KeyOption", "Pacer", "by_host"]

KeyOption: TypeAlias = Callable[[Any], str | int | UUID]
"""What an argument named `key` takes: a function of the client's request that answers whose quota it takes."""

IDEMPOTENT: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})
"""Methods of requests that may be sent again without doing something twice (RFC 9110, section 9.2.2)."""

_FIRST_PAUSE: Final = 1_000_000
"""The pause, in µs, after a 429 that does not say how long to wait; doubled each time the request is repeated."""

_R = TypeVar("_R")


class Exchange(Protocol[_R]):
    """A request that can be sent.

    Attributes:
        request: the client's request.
        method: of the request.
        repeatable: whether its body can be sent again.
    """

    request: Any
    method: str
    repeatable: bool

    async def send(self) -> _R:
        """Send the request; in sync code this blocks and never suspends."""
        ...

    def read(self, response: _R) -> tuple[int, Iterable[tuple[str, str]]]:
        """The status and the header fields of a response."""
        ...

    async def discard(self, response: _R) -> None:
        """Give back the connection of a response that the caller does not see; likewise."""


class Pacer:
    """Sends requests when a limiter and the server allow it.

    Args:
        limiter: waited for before each request, also before one that is repeated.
        key: whose quota a request takes; see `KeyOption`.
        retries: how often a request is repeated that is answered with 429, or with 503 and a wait; from 0.
        longest_pause: seconds, above 0, to which the waits that servers ask for are cut.
        timeout: seconds that a request may wait in all, from 0; None for as long as it takes.
        methods: of the requests that are repeated.

    Raises:
        TypeError, ValueError: an argument is none of the above.
    """

    def __init__(
        self,
        limiter: Limiter,
        key: KeyOption,
        *,
        retries: int,
        longest_pause: float,
        timeout: float | None,
        methods: Collection[str],
    ) -> None:
        if not isinstance(limiter, Limiter):
            raise TypeError(f"a limiter is a Limiter, not {describe(limiter)}")
        if not callable(key):
            raise TypeError(f"a key is a function of the request, not {describe(key)}")
        if type(retries) is not int or retries < 0:
            raise ValueError(f"retries are an integer from 0, not {describe(retries)}")
        self._longest = timing.microseconds("a longest pause", longest_pause)
        if not self._longest:
            raise ValueError(f"a longest pause is more than 0 seconds, not {longest_pause!r}")
        if isinstance(methods, str):
            raise TypeError(f"methods are a set of names, such as {{'GET'}}, not {methods!r}")
        self._timeout = None if timeout is None else timing.microseconds("a timeout", timeout)
        self._limiter = limiter
        self._pauses = pauses_of(limiter)
        self._key = key
        self._retries = retries
        self._methods = frozenset(method.upper() for method in methods)

    async def send(self, exchange: Exchange[_R], *, sync: bool = False) -> _R:
        """Send a request when it is its turn, and again if the server refuses it and it may be repeated.

        Raises:
            WaitTimeoutError: its turn does not come within the timeout.
        """
        key = as_text(self._key(exchange.request), "the key of a request")
        deadline = None if self._timeout is None else timing.now() + self._timeout
        attempt = 0
        while True:
            await self._turn(key, deadline, sync)
            response = await exchange.send()
            refused, wait = self._advice(exchange.read(response), attempt)
            self._pauses.extend(key, wait)
            late = deadline is not None and timing.now() + wait > deadline
            if not refused or late or attempt >= self._retries or not self._repeatable(exchange):
                return response
            await exchange.discard(response)
            attempt += 1

    async def _turn(self, key: str, deadline: int | None, sync: bool) -> None:
        """Wait until the server and the limiter admit a request.

        A pause that begins while the limiter is waited for is kept, and the limiter is asked again after it: requests
        that have waited together do not all go out when it ends.
        """
        while True:
            left = self._pauses.left(key)
            if not left:
                timeout = None if deadline is None else max(0, deadline - timing.now()) / 1_000_000
                await wait_for_quota(self._limiter, key, None, None, sync, timeout, None)
                if not self._pauses.left(key):
                    return
            elif deadline is not None and timing.now() + left > deadline:
                span = f"{left / 1_000_000:g} s"
                reason = f"its server has asked for a pause, of which {span} are left, longer than the timeout"
                raise WaitTimeoutError(f"nothing is sent to {key!r}: {reason}", Decision(False, 0, 0, retry_after=left))
            else:
                await timing.pause(left, sync)

    def _advice(self, answer: tuple[int, Iterable[tuple[str, str]]], attempt: int) -> tuple[bool, int]:
        """Whether the server refuses, and the pause that it asks for, in µs."""
        status, fields = answer
        wait = read_wait(status, fields, time.time_ns() // 1_000)
        refused = status == 429 or (status == 503 and wait is not None)
        if wait is None:
            wait = _FIRST_PAUSE << min(attempt, 30) if refused else 0
        return refused, min(wait, self._longest)

    def _repeatable(self, exchange: Exchange[Any]) -> bool:
        return exchange.repeatable and exchange.method.upper() in self._methods


def by_host(request: Any) -> str:
    """The host of a request, of httpx or aiohttp: a limit for each server that is called."""
    return str(request.url.host)
