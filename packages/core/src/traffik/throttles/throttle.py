"""Throttles: limits for connections. These are the objects that applications create and call.

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
from traffik.identities.preparing import prepare_identifier
from traffik.identities.trust import Address
from traffik.limits import groups, hits, uids, waiting
from traffik.limits.floods import FloodPolicy, follow
from traffik.limits.limit import CostOption, RateOption
from traffik.limits.quotas import QuotaLimit, SyncQuotaLimit
from traffik.model.callables import Callback, Context, callback
from traffik.model.coroutines import run_sync
from traffik.model.decisions import ADMITTED, REFUSED, Decision
from traffik.model.descriptions import describe
from traffik.model.rates import Rates
from traffik.notices import misconfiguration
from traffik.rules.rule import Rule, RuleSet, rule_set
from traffik.throttles.injection import injected_signature
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
"""The type of arguments named `identifier`: a function of the connection and the context, sync or async."""

HandlerOption: TypeAlias = Callable[..., Awaitable[object] | object]
"""The type of `handle_throttled`: a function of connection, decision, throttle and context, sync or async."""


_OFFERED: Final = ("connection", "decision", "throttle", "context")
"""The arguments of `handle_throttled`."""


class Throttle(QuotaLimit, Generic[C]):
    """The base class of `HTTPThrottle` and `WebSocketThrottle`.

    Args:
        uid: the name of the throttle, 1 to 128 characters. Throttles with the same uid in one store share their quota.
        rate: a rate, text such as ``"100/min"`` or ``"10/s; 1000/hour"``, several of them, or a function of the
            connection (and the context) that returns one of these.
        identifier: a function of the connection (and the context) that returns the identity of the client: text, an
            integer, a UUID, `EXEMPTED` or `DENIED`. `traffik.identities` has ready-made ones. If None, the address of
            the client: the socket's peer, or the address reported by the proxies named in `traffik.trust_proxies`.
        strategy: the algorithm; `SlidingWindow` if None.
        backend: the store; if None, the store of the application, or else the only open one.
        cost: units of quota that a hit consumes, or a function as for `rate`.
        context: passed to these functions, updated with the context of the call. Each ``"scope"`` in it has its own
            quota.
        handle_throttled: called with ``(connection, decision, throttle, context)``, or with fewer of them from the
            left, instead of the framework's rejection. After it, `hit` returns. (If a middleware or decorator calls it,
            a response that it returns is sent: see the guide of the framework.)
        responses: the header fields to send, and the body of a rejection; if None, the default of the process
            (`traffik.limits.defaults.set_default_responses`).
        floods: for WebSockets: how to react if messages keep being refused. If None, the client is notified of each
            refusal.
        rules: one or several `Rule` that select the connections the throttle applies to; if empty, all. Other
            connections are admitted and not counted.
        shadow: count and report, but refuse nothing; see `shadow_report` and `promote`.
        shadow_rate: another rate to try on the same hits. It refuses nothing.

    All functions may be sync or async.

    Raises:
        RateError: the rate is invalid, or the strategy cannot count it exactly.
        DuplicateUidError: a different throttle with this uid counts in the store given as `backend`.
        TypeError, ValueError: another argument is invalid.
    """

    subject = "connection"
    rejects = True
    websocket: ClassVar[bool] = False
    """Whether it is for WebSockets."""

    injects: ClassVar[type | None] = None
    """The class of connections for dependency injection; None to ask the adapters."""

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
            got = f"{type(self).__name__} got {describe(floods)}"
            raise TypeError(f"floods is a FloodPolicy(), for a WebSocketThrottle only: {got}")
        self.floods: FloodPolicy | None = None if floods == FloodPolicy() else floods
        self.rules = rule_set(rules)
        identify = None if identifier is None else prepare_identifier(identifier)
        self.identifier: Callback | None = identify and watched(self, identify)
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
            self.handler: Callback | None = callback("the throttled handler", handle_throttled, _OFFERED)
        uids.claim(self)
        groups.join(self)

    async def hit(self, connection: C, cost: int | None = None, context: Context | None = None) -> C:
        """Consume `cost` units of the client's quota, or reject the connection if fewer remain.

        Args:
            connection: the framework's request or WebSocket.
            cost: 0 to 2**31 - 1 units; the cost of the throttle if None. A hit of 0 is admitted and changes nothing.
            context: its values override those of the throttle's context.

        Returns:
            The same connection.

        Raises:
            Throttled: an HTTP request, or a WebSocket before its accept, is refused. This is the framework's own error,
                which it turns into a response with status 429. (An accepted WebSocket is sent a message instead. If
                `floods` closes it, an error is raised in some frameworks.)
            AdapterNotFoundError: there is no adapter for this type of connection.
            BackendNotFoundError: no store is open, or it is unclear which one to use.
            DuplicateUidError: a different throttle with this uid counts in that store.
            TypeError, ValueError: an argument is invalid. Nothing is consumed then.
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
        """Wait until the connection is admitted, and consume the cost, as `Limiter.wait` does. Never rejects it.

        Raises:
            WaitTimeoutError: the wait would be longer than `timeout` seconds. To respond with status 429, pass the
                `decision` of the error to `refuse`.
            NeverAdmittedError: the cost is above the capacity, or the client is denied. Its `decision` can be passed
                to `refuse` too.
            AdapterNotFoundError, BackendNotFoundError, DuplicateUidError, TypeError, ValueError: as by `hit`.
        """
        return await waiting.wait_for_quota(self, connection, cost, context, False, timeout, jitter)

    async def check(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """The decision that a hit of `cost` would get now; true if it would be admitted. Consumes nothing.

        Another request may consume the quota before your next call, so only `hit` guarantees it. If the strategy cannot
        decide without consuming, the decision is always true.
        """
        return await hits.decide(self, connection, cost, context, False, hits.read_only)

    async def stat(self, connection: C, context: Context | None = None) -> StrategyStat | None:
        """The client's remaining quota; None if the client is exempted or the strategy cannot tell."""
        return await hits.stat(self, connection, context, False)

    async def reset(self, connection: C, context: Context | None = None) -> None:
        """Forget the usage of the client, so its whole quota is available again."""
        await hits.reset(self, connection, context, False)

    async def decide(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """As `hit`, for code that handles refusals such as a middleware: returns the decision, never rejects."""
        decision = await hits.decide(self, connection, cost, context, False)
        self.remember(connection, decision, cost is None and context is None)
        return decision

    async def refuse(self, connection: C, decision: Decision, context: Context | None = None) -> object:
        """Handle a refusal as `hit` does: call the handler, or reject the connection as the framework does.

        Returns:
            The result of the handler, which a middleware may send as the response; None without a handler.
        """
        return await hits.refuse(self, connection, decision, context, False)

    def add_rule(self, rule: Rule) -> None:
        """Add a rule. It takes effect at once, in all threads and event loops.

        Raises:
            TypeError: it is not a rule.
        """
        with binding.lock:
            self.rules = (self.rules or RuleSet()).with_rule(rule)
            self.refresh()

    def remove_rule(self, rule: Rule) -> None:
        """Remove a rule, if the throttle has it. Without rules, the throttle applies to all connections."""
        with binding.lock:
            self.rules = self.rules and self.rules.without_rule(rule)
            self.refresh()

    @property
    def plain(self) -> bool:
        """Whether it calls no function of the user, so its decisions depend only on the address of the client."""
        return self.identifier is self.rating is self.price is self.handler is None

    @property
    def sync(self) -> SyncThrottle[C]:
        """The same throttle for sync code."""
        return SyncThrottle(self)

    @property
    def identity_source(self) -> object:
        return Address if self.identifier is None else self.identifier.function

    def _identify(self) -> Callable[[Any, Context], object]:
        return self._address.__call__ if self.identifier is None else self.identifier.call

    def app(self, subject: C) -> object | None:
        return adapter_of(subject).app(subject)

    def advice(self, subject: C) -> str:
        advice: str = getattr(adapter_of(subject), "store_advice", binding.ADVICE)
        return advice

    def remember(
        self, subject: C, decision: Decision, usual: bool = False, memory: adapters.Memory | None = None
    ) -> None:
        if memory is None:
            memory = adapter_of(subject).memory(subject)
        before = None
        if memory:
            before = memory.pop(self, None)  # the most recent decision comes last
            if usual and not self.websocket and (before is not None or self.shares_uid):
                self._see_twice(subject, self._of_twin(memory) if before is None else before, decision)
        memory[self] = decision if self.floods is None else follow(before, decision)

    def amend(self, subject: C, decision: Decision) -> None:
        memory = adapter_of(subject).memory(subject)
        if memory.get(self, REFUSED).allowed:
            memory[self] = decision

    def _of_twin(self, memory: adapters.Memory) -> Decision | None:
        """The decision of another throttle object that shares the quota."""
        twins = (each for each in memory if each.uid == self.uid and each.backend is self.backend)
        return next((memory[each] for each in twins), None)

    def _see_twice(self, subject: C, before: Decision | None, decision: Decision) -> None:
        """Warn if a request was counted twice in this quota."""
        if before is None or self._seen_twice or adapter_of(subject).websocket:
            return
        if before.allowed and decision.allowed and ADMITTED not in {before, decision}:
            self._seen_twice = True
            misconfiguration.counted_twice(self.uid)

    @injected_signature
    def __signature__(self) -> inspect.Signature:
        """The signature for dependency injection: the connection only, so no parameter comes from the client.

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
    """A throttle for HTTP requests. The arguments are those of `Throttle`."""


class WebSocketThrottle(Throttle[C]):
    """A throttle for new WebSockets and for their messages. The arguments are those of `Throttle`."""

    websocket = True


class SyncThrottle(SyncQuotaLimit, Generic[C]):
    """A throttle for sync code, with the same methods and the same quota.

    If an option of the throttle is an async function, the methods raise a TypeError.
    """

    __slots__ = ()

    _limit: Throttle[C]

    def hit(self, connection: C, cost: int | None = None, context: Context | None = None) -> C:
        """As `Throttle.hit`."""
        decision = run_sync(hits.decide(self._limit, connection, cost, context, True))
        self._limit.remember(connection, decision, cost is None and context is None)
        if not decision.allowed:
            run_sync(hits.refuse(self._limit, connection, decision, context, True))
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
        """As `Throttle.wait`, for threads without an event loop. Raises `ConfigurationError` if the thread runs one."""
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

    @injected_signature
    def __signature__(self) -> inspect.Signature:
        """That of the throttle. With it, ``Depends(throttle.sync)`` works: FastAPI calls it in a thread."""
        return self._limit.__signature__

    def __repr__(self) -> str:
        return f"{self._limit!r}.sync"
