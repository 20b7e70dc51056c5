"""A throttled service as data, so that each framework can serve the same one."""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from traffik import Throttled, get_wait, is_throttled
from traffik.backends.base import Backend
from traffik.live.pages import LivePage
from traffik.model.decisions import Decision, StrategyStat
from traffik.throttles import SyncThrottle, Throttle
from traffik.throttles.all_of import AllOf, SyncAllOf


class Call(NamedTuple):
    """One call that an endpoint makes with its connection.

    It is one of: hit, call, check, stat, slot, attempt, reserve, is_throttled, get_wait. An attempt is a hit whose
    refusal the endpoint catches. A reservation commits `actual`. A slot returns the stat inside its block. The last two
    may be called without a throttle.
    """

    what: str
    throttle: Throttle[Any] | AllOf[Any] | None = None
    cost: int | None = None
    context: Mapping[str, Any] | None = None
    actual: int = 0


class Socket(NamedTuple):
    """A WebSocket: the calls before its accept, and those for each message. An admitted message is echoed."""

    door: Sequence[Call] = ()
    message: Sequence[Call] = ()
    closes: bool = False
    """Whether the endpoint closes a throttled one, with code 1008."""


@dataclass(frozen=True)
class Service:
    """A service.

    Attributes:
        backend: the application's store.
        routes: the calls for a GET of each path. The response has their results as JSON.
        guards: throttles of a middleware around all routes.
        mounted: the routes of an application without a store, which is mounted below ``/in``.
        sockets: WebSockets by path.
        decorated: throttles of a decorator of each route, by path.
        forbidden: the same as `routes`, but afterwards they raise the framework's error with status 403.
        streams: the same as `routes`, but the response is a stream of ``a`` and ``b``.
        uploads: throttles in bytes, for a POST of ``/upload``, which reads the body in pieces, and of ``/ignore``,
            which does not read it.
        received: how many bytes of each upload the endpoint ``/upload`` has read.
        handled: whether to register our exception handler for refusals, in frameworks that need it.
        live: a live page, mounted below ``/limits``.
    """

    backend: Backend
    routes: Mapping[str, Sequence[Call]] = field(default_factory=dict)
    guards: Sequence[Throttle[Any]] = ()
    mounted: Mapping[str, Sequence[Call]] = field(default_factory=dict)
    sockets: Mapping[str, Socket] = field(default_factory=dict)
    decorated: Mapping[str, Sequence[Throttle[Any]]] = field(default_factory=dict)
    forbidden: Mapping[str, Sequence[Call]] = field(default_factory=dict)
    streams: Mapping[str, Sequence[Call]] = field(default_factory=dict)
    uploads: Sequence[Throttle[Any]] = ()
    received: list[int] = field(default_factory=list)
    handled: bool = False
    live: LivePage | None = None


class Framework(ABC):
    """The client of one framework: it writes a service in the framework's way and serves it on loopback."""

    websockets: ClassVar[bool] = True
    asynchronous: ClassVar[bool] = True
    answers: ClassVar[bool] = True
    """Whether it has streams and HTTP errors."""

    live: ClassVar[bool] = True
    """Whether a live page can be mounted in it."""

    adds_slash: ClassVar[bool] = True
    """Whether a page is also found without the slash at its end, with no more than the mount."""

    live_streams: ClassVar[bool] = True
    """Whether it sends a stream of what the page shows."""

    uploads: ClassVar[bool] = True
    """Whether it counts uploads."""

    reads_all: ClassVar[bool] = False
    """Whether it reads every body before it calls an endpoint."""

    streams: ClassVar[bool] = True
    """Whether its server calls the application before the whole body is there."""

    routes: ClassVar[bool] = True
    """Whether it knows which route matches a request. If not, a rule by route is an error."""

    tells_names_apart: ClassVar[bool] = True
    """Whether the server distinguishes ``X_Name`` from ``X-Name``, or drops headers with an underscore."""

    def body(self, detail: str, violated: str | None = None) -> bytes:
        """The exact body of a refusal that an endpoint raises, and of an unavailable store."""
        return problem(detail, violated)

    def template(self, path: str) -> str:
        """The template of a route without parameters, as the framework writes it."""
        return path

    @abstractmethod
    def serving(self, service: Service) -> AbstractContextManager[str]:
        """Serve it while the context lasts, with RateLimit headers on all responses; the address, ``host:port``."""


def problem(detail: str, violated: str | None) -> bytes:
    """The body of a refusal, as problem details."""
    registry = "https://iana.org/assignments/http-problem-types"
    if violated is None:
        kind = {"type": f"{registry}#temporary-reduced-capacity", "title": "Temporary Reduced Capacity", "status": 503}
        return json.dumps({**kind, "detail": detail}).encode()
    kind = {"type": f"{registry}#quota-exceeded", "title": "Quota Exceeded", "status": 429}
    return json.dumps({**kind, "detail": detail, "violated-policies": [violated]}).encode()


async def carry_out(connection: Any, calls: Sequence[Call]) -> list[Any]:
    """Make the calls in async code; their results, as JSON values."""
    answers = []
    for call in calls:
        try:
            if call.what == "slot":
                async with call.throttle.slot(connection, call.cost, context=call.context):
                    answers.append(_plain(await call.throttle.stat(connection), connection))
                continue
            answer = _begin(call, connection, call.throttle)
            if inspect.isawaitable(answer):
                answer = await answer
        except Throttled:
            if call.what != "attempt":
                raise
            answer = False
        answers.append(_plain(answer, connection))
    return answers


def carry_out_sync(connection: Any, calls: Sequence[Call]) -> list[Any]:
    """The same in sync code."""
    answers = []
    for call in calls:
        try:
            if call.what == "slot":
                with call.throttle.sync.slot(connection, call.cost, context=call.context):
                    answers.append(_plain(call.throttle.sync.stat(connection), connection))
                continue
            answer = _begin(call, connection, call.throttle and call.throttle.sync)
        except Throttled:
            if call.what != "attempt":
                raise
            answer = False
        answers.append(_plain(answer, connection))
    return answers


def _begin(call: Call, connection: Any, throttle: Any) -> Any:
    match call.what:
        case "hit" | "attempt":
            return throttle.hit(connection, call.cost, call.context)
        case "call":
            return throttle(connection, cost=call.cost, context=call.context)
        case "check":
            return throttle.check(connection, call.cost, call.context)
        case "stat":
            return throttle.stat(connection, call.context)
        case "is_throttled":
            return is_throttled(connection, call.throttle)
        case "reserve" if isinstance(throttle, SyncThrottle | SyncAllOf):
            with throttle.reserve(connection, call.cost, context=call.context) as taken:
                return bool(taken) and taken.commit(call.actual).units
        case "reserve":
            return _reserve(throttle, connection, call)
        case _:
            return get_wait(connection, call.throttle)


async def _reserve(throttle: Throttle[Any] | AllOf[Any], connection: Any, call: Call) -> int:
    async with throttle.reserve(connection, call.cost, context=call.context) as taken:
        return bool(taken) and (await taken.commit(call.actual)).units


def _plain(answer: Any, connection: Any) -> Any:
    match answer:
        case Decision():
            return bool(answer)
        case StrategyStat():
            return {"hits_remaining": answer.hits_remaining, "wait_ms": answer.wait_ms, "key": answer.key}
        case _:
            return "the connection" if answer is connection else answer
