"""Throttles: limits for connections. These are the objects users hold.

A throttle is written once and used with every framework that has an adapter: directly in async code, and through
`Throttle.sync` in sync code. The path of a hit is in `traffik.limits.hits`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeAlias

from traffik import adapters
from traffik.adapters import adapter_of
from traffik.backends import binding
from traffik.identities.trust import Address
from traffik.limits import groups, hits, uids, waiting
from traffik.limits.floods import FloodPolicy, follow
from traffik.limits.limit import CostOption, RateOption
from traffik.limits.quotas import QuotaLimit, SyncQuotaLimit
from traffik.model.callables import Context, callback
from traffik.model.coroutines import run_sync
from traffik.model.decisions import ADMITTED, REFUSED, Decision
from traffik.model.descriptions import describe
from traffik.model.rates import Rates
from traffik.notices import misconfiguration
from traffik.rules.rule import Rule, RuleSet, rule_set
from traffik.throttles.sharing import watched

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from traffik.backends.base import Backend
    from traffik.model.decisions import StrategyStat
    from traffik.responses.options import ResponseOptions
    from traffik.strategies import Strategy

    C = TypeVar("C", default=Any)
else:
    from typing import TypeVar

    C = TypeVar("C")

__all__ = [
    "HTTPThrottle",
    "HandlerOption",
    "IdentifierOption",
    "SyncThrottle",
    "Throttle",
    "WebSocketThrottle",
]

IdentifierOption: TypeAlias = Callable[..., object]
"""What an argument named `identifier` takes: a function of the connection and the context, sync or async."""

HandlerOption: TypeAlias = Callable[..., Awaitable[object] | object]
"""What `handle_throttled` takes: a function of connection, decision, throttle and context, sync or async."""


_OFFERED: Final = ("connection", "decision", "throttle", "context")
"""The arguments of `handle_throttled`."""


class Throttle(QuotaLimit, Generic[C]):
    """What `HTTPThrottle` and `WebSocketThrottle` have in common.

    Args:
        uid: names the throttle, 1 to 128 characters; throttles with the same uid on one store share their quota.
        rate: a rate, text such as ``"100/min"`` or ``"10/s; 1000/hour"``, several of them, or a function of the
            connection (and the context) that answers one.
        identifier: whose quota it is: a function of the connection (and the context) that answers text, an integer, a
            UUID, `EXEMPTED` or `DENIED`; some are ready in `traffik.identities`. If None, the address of the client:
            the other end of the socket, or what the proxies say that `traffik.trust_proxies` has named.
        strategy: the algorithm; `SlidingWindow` if None.
        backend: the store; if None, the application's own, or else the only one that is open.
        cost: units of quota a hit takes, or a function as for `rate`.
        context: handed to those functions, under what a call gives; its ``"scope"`` divides the quota further.
        handle_throttled: called with ``(connection, decision, throttle, context)``, or as many of them as it takes,
            instead of the framework's own rejection; when it returns, `hit` returns. (A response that it returns to a
            middleware or a decorator is sent: see the guide of the framework.)
        responses: which header fields go out, and how a refusal reads; if None, the default of the process
            (`traffik.limits.defaults.set_default_responses`).
        floods: for WebSockets: what becomes of one whose messages go on being refused. If None, every refusal is told
            and that is all.
        rules: one or several `Rule`: which connections it is for; without any, for all. One that it is not for is
            admitted and not counted.
        shadow: count and report, and refuse no one; see `shadow_report` and `promote`.
        shadow_rate: another rate, tried beside the live one on the same hits; it refuses no one.

    All functions may be sync or async.

    Raises:
        RateError: the rate is not one, or the strategy cannot count it exactly.
        DuplicateUidError: a different throttle with this uid counts in the store given as `backend`.
        TypeError, ValueError: another argument is none of the above.
    """

    subject = "connection"
    rejects = True
    websocket: ClassVar[bool] = False
    """Whether it guards connections that carry messages."""

    injects: ClassVar[type | None] = None
    """The class of connections that dependency injection is to hand over; None to ask the adapters."""

    _seen_twice = False

    def __init__(
        self,
        uid: str,
        rate: RateOption,
        *,
        identifier: IdentifierOption | None = None,
        strategy: Strategy | None = None,
        backend: Backend | None = None,
        cost: CostOption = 1,
        context: Context | None = None,
        handle_throttled: HandlerOption | None = None,
        responses: ResponseOptions | None = None,
        floods: FloodPolicy | None = None,
        rules: Rule | Iterable[Rule] = (),
        shadow: bool = False,
        shadow_rate: Rates | None = None,
    ) -> None:
        if floods is not None and not (self.websocket and isinstance(floods, FloodPolicy)):
            raise TypeError(
                f"floods is a FloodPolicy, for a WebSocketThrottle: not {describe(floods)} for an {type(self).__name__}"
            )
        self.floods = None if floods == FloodPolicy() else floods
        self.rules = rule_set(rules)
        self.identifier = None if identifier is None else watched(self, self._callback("the identifier", identifier))
        self._address = Address()
        super().__init__(
            uid,
            rate,
            strategy=strategy,
            backend=backend,
            cost=cost,
            context=context,
            responses=responses,
            shadow=shadow,
            shadow_rate=shadow_rate,
        )
        if handle_throttled is not None:
            self.handler = callback("the throttled handler", handle_throttled, _OFFERED)
        uids.claim(self)
        groups.join(self)

    async def hit(self, connection: C, cost: int | None = None, context: Context | None = None) -> C:
        """Take `cost` units of the connection's quota, all or nothing; reject the connection if they are not there.

        Args:
            connection: what the framework hands you: its request or WebSocket.
            cost: 0 to 2**31 - 1 units; the throttle's own if None. 0 is admitted and touches nothing.
            context: goes before the throttle's own.

        Returns:
            The very same connection, if it is not rejected by an exception.

        Raises:
            Throttled: an HTTP connection, or a WebSocket before its accept, is refused: the framework's own error,
                which it answers with status 429. (A WebSocket after its accept is sent a message instead, or whatever
                `floods` says; to close it, some frameworks have an error raised.)
            AdapterNotFoundError: no adapter knows this kind of connection.
            BackendNotFoundError: none, or more than one, store could be meant.
            DuplicateUidError: a different throttle with this uid counts in that store.
            TypeError, ValueError: an argument is none of the above; nothing is taken then.
        """
        decision = await hits.decide(self, connection, cost, context, False)
        self.remember(connection, decision, cost is None and context is None)
        if not decision.allowed:
            await hits.refuse(self, connection, decision, context, False)
        return connection

    async def __call__(self, connection: C, cost: int | None = None, context: Context | None = None) -> C:
        """The same as `hit`."""
        return await self.hit(connection, cost, context)

    async def wait(
        self,
        connection: C,
        cost: int | None = None,
        context: Context | None = None,
        *,
        timeout: float | None = None,
        jitter: float | None = None,
    ) -> Decision:
        """Wait until the connection is admitted, and take the cost, as `Limiter.wait` does; never rejects it.

        Raises:
            WaitTimeoutError: it would take longer than `timeout` seconds. To answer with status 429 then, hand the
                `decision` of the error to `refuse`.
            NeverAdmittedError: the cost is above the capacity, or the client is denied. Hand it to `refuse` likewise.
            AdapterNotFoundError, BackendNotFoundError, DuplicateUidError, TypeError, ValueError: as by `hit`.
        """
        return await waiting.wait_for_quota(self, connection, cost, context, False, timeout, jitter)

    async def check(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """Whether a hit of `cost` would be admitted now, as the decision it would get; takes nothing.

        Somebody else may be faster: only a `hit` is certain. True if the strategy cannot tell.
        """
        return await hits.decide(self, connection, cost, context, False, hits.read_only)

    async def stat(self, connection: C, context: Context | None = None) -> StrategyStat | None:
        """What is left of the connection's quota; None if it is exempted or the strategy cannot tell."""
        return await hits.stat(self, connection, context, False)

    async def reset(self, connection: C, context: Context | None = None) -> None:
        """Forget what the connection's client has used."""
        await hits.reset(self, connection, context, False)

    async def decide(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """`hit` for code that answers refusals itself, such as a middleware: the decision, remembered, never raised."""
        decision = await hits.decide(self, connection, cost, context, False)
        self.remember(connection, decision, cost is None and context is None)
        return decision

    async def refuse(self, connection: C, decision: Decision, context: Context | None = None) -> object:
        """The rest of a refused `hit`: call the handler, or reject the connection in the framework's way.

        Returns:
            What the handler answered, for code that can send it, such as a middleware; None if none was asked.
        """
        return await hits.refuse(self, connection, decision, context, False)

    def add_rule(self, rule: Rule) -> None:
        """Ask `rule` too, from now on, in every thread and loop.

        Raises:
            TypeError: it is no rule.
        """
        with binding.lock:
            self.rules = (self.rules or RuleSet()).with_rule(rule)
            self.refresh()

    def remove_rule(self, rule: Rule) -> None:
        """Ask `rule` no more, if it has it; without rules it is for everything."""
        with binding.lock:
            self.rules = self.rules and self.rules.without_rule(rule)
            self.refresh()

    @property
    def plain(self) -> bool:
        """Whether it calls no function of the user's, so that of a connection only the address matters."""
        return self.identifier is self.rating is self.price is self.handler is None

    @property
    def sync(self) -> SyncThrottle[C]:
        """The same throttle for sync code."""
        return SyncThrottle(self)

    def _identify(self) -> Callable[[Any, Context], object]:
        return self._address.__call__ if self.identifier is None else self.identifier.call

    def app(self, subject: C) -> object | None:
        return adapter_of(subject).app(subject)

    def advice(self, subject: C) -> str:
        advice: str = getattr(adapter_of(subject), "store_advice", binding.ADVICE)
        return advice

    def remember(self, subject: C, decision: Decision, usual: bool = False) -> None:
        adapter = adapter_of(subject)
        memory = adapter.memory(subject)
        before = None
        if memory:
            before = memory.pop(self, None)  # so that it comes last
            if usual and not self.websocket and (before is not None or self.shares_uid):
                self._see_twice(adapter, self._of_twin(memory) if before is None else before, decision)
        memory[self] = decision if self.floods is None else follow(before, decision)

    def amend(self, subject: C, decision: Decision) -> None:
        memory = adapter_of(subject).memory(subject)
        if memory.get(self, REFUSED).allowed:
            memory[self] = decision

    def _of_twin(self, memory: adapters.Memory) -> Decision | None:
        """The decision of another throttle object that counts in the same quota."""
        twins = (each for each in memory if each.uid == self.uid and each.backend is self.backend)
        return next((memory[each] for each in twins), None)

    def _see_twice(self, adapter: adapters.Adapter, before: Decision | None, decision: Decision) -> None:
        """Of a request that is decided on again, see whether it was counted both times."""
        if before is None or self._seen_twice or adapter.websocket:
            return
        if before.allowed and decision.allowed and ADMITTED not in {before, decision}:
            self._seen_twice = True
            misconfiguration.counted_twice(self.uid)

    @property
    def __signature__(self) -> inspect.Signature:
        """What a framework that injects dependencies sees: the connection, and nothing that comes from the client.

        Raises:
            AdapterNotFoundError: FastAPI is in use and the adapter for it is not installed.
        """
        kind = self.injects or adapters.injected(websocket=self.websocket)
        if kind is None:
            adapters.check_injection()
            kind = inspect.Parameter.empty
        return inspect.Signature(
            [inspect.Parameter("connection", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)]
        )


class HTTPThrottle(Throttle[C]):
    """A throttle for HTTP requests; takes what `Throttle` takes."""


class WebSocketThrottle(Throttle[C]):
    """A throttle for WebSockets, for opening one and for every message; takes what `Throttle` takes."""

    websocket = True


class SyncThrottle(SyncQuotaLimit, Generic[C]):
    """A throttle for sync code: the same calls, the same quota; an async function among its options is a TypeError."""

    __slots__ = ()

    _limit: Throttle[C]

    def hit(self, connection: C, cost: int | None = None, context: Context | None = None) -> C:
        """As `Throttle.hit`."""
        decision = self.decide(connection, cost, context)
        if not decision.allowed:
            self.refuse(connection, decision, context)
        return connection

    __call__ = hit

    def wait(
        self,
        connection: C,
        cost: int | None = None,
        context: Context | None = None,
        *,
        timeout: float | None = None,
        jitter: float | None = None,
    ) -> Decision:
        """As `Throttle.wait`, for threads in which no event loop runs: a `ConfigurationError` where one does."""
        return run_sync(waiting.wait_for_quota(self._limit, connection, cost, context, True, timeout, jitter))

    def check(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """As `Throttle.check`."""
        return run_sync(hits.decide(self._limit, connection, cost, context, True, hits.read_only))

    def stat(self, connection: C, context: Context | None = None) -> StrategyStat | None:
        """As `Throttle.stat`."""
        return run_sync(hits.stat(self._limit, connection, context, True))

    def reset(self, connection: C, context: Context | None = None) -> None:
        """As `Throttle.reset`."""
        run_sync(hits.reset(self._limit, connection, context, True))

    def decide(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """As `Throttle.decide`."""
        decision = run_sync(hits.decide(self._limit, connection, cost, context, True))
        self._limit.remember(connection, decision, cost is None and context is None)
        return decision

    def refuse(self, connection: C, decision: Decision, context: Context | None = None) -> object:
        """As `Throttle.refuse`."""
        return run_sync(hits.refuse(self._limit, connection, decision, context, True))

    @property
    def __signature__(self) -> inspect.Signature:
        """As of the throttle, so that ``Depends(throttle.sync)`` works: FastAPI calls it in a thread."""
        return self._limit.__signature__

    def __repr__(self) -> str:
        return f"{self._limit!r}.sync"
