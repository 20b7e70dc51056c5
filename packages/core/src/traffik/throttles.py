"""Throttles: a limit meeting connections. These are the objects users hold.

A throttle is written once and used with every framework that has an adapter, in async code by itself and in sync code
through `Throttle.sync`. How a hit goes is in the recipes; whose quota it is by default is in `traffik.trust`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias

from traffik import _misconfiguration, _recipes, adapters, registry, trust, uids
from traffik._callables import Context, callback
from traffik._drivers import drive, drive_sync
from traffik._making import ConstructorSignature
from traffik._watching import watched
from traffik.backends import binding
from traffik.decisions import ADMITTED, Decision
from traffik.descriptions import describe
from traffik.floods import Floods, follow
from traffik.keys import MAX_LENGTH
from traffik.limits import CostOption, Limit, RateOption
from traffik.rules import Rule, RuleSet, rule_set

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from traffik.backends.base import Backend
    from traffik.decisions import StrategyStat
    from traffik.outgoing import Outgoing
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
    "get_wait",
    "is_throttled",
]

IdentifierOption: TypeAlias = Callable[..., object]
"""What an argument named `identifier` takes: a function of the connection and the context, sync or async."""

HandlerOption: TypeAlias = Callable[..., Awaitable[object] | object]
"""What `handle_throttled` takes: a function of connection, decision, throttle and context, sync or async."""


class Throttle(Limit, Generic[C]):
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
        outgoing: which header fields go out, and how a refusal reads; if None, the default of the process
            (`traffik.answers.use_outgoing`).
        floods: for WebSockets: what becomes of one whose messages go on being refused. If None, every refusal is told
            and that is all.
        rules: one or several `Rule`: which connections it is for; without any, for all. One that it is not for is
            admitted and not counted.

    All functions may be sync or async.

    Raises:
        RateError: the rate is not one, or the strategy cannot count it exactly.
        DuplicateUidError: another throttle has this uid.
        TypeError, ValueError: another argument is none of the above.
    """

    subject = "connection"
    websocket: ClassVar[bool] = False
    """Whether it guards connections that carry messages."""

    injects: ClassVar[type | None] = None
    """The class of connections that dependency injection is to hand over; None to ask the adapters."""

    _unseen = 32
    """Hits that are still looked at for a proxy that nobody has named."""

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
        outgoing: Outgoing | None = None,
        floods: Floods | None = None,
        rules: Rule | Iterable[Rule] = (),
    ) -> None:
        if floods is not None and not (self.websocket and isinstance(floods, Floods)):
            raise TypeError(
                f"floods is a Floods, for a WebSocketThrottle: not {describe(floods)} for an {type(self).__name__}"
            )
        self.floods = None if floods == Floods() else floods
        self.rules = rule_set(rules)
        self.identifier = None if identifier is None else watched(self, self._callback("the identifier", identifier))
        super().__init__(uid, rate, strategy=strategy, backend=backend, cost=cost, context=context, outgoing=outgoing)
        self.handler = None
        if handle_throttled is not None:
            offered = ("connection", "decision", "throttle", "context")
            self.handler = callback("the throttled handler", handle_throttled, offered)
        uids.claim(self)
        registry.join(self)

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
            TypeError, ValueError: an argument is none of the above; nothing is taken then.
        """
        # `decide`, written out: one coroutine less for every hit.
        decision = self._at_once(connection) if cost is None and context is None else None
        if decision is None:
            begun = _recipes.start(self, connection, cost, context)
            decision = begun if isinstance(begun, Decision) else await begun
            self.remember(connection, decision, cost is None and context is None)
        if not decision.allowed:
            await drive(_recipes.refuse(self, connection, decision, context))
        return connection

    async def __call__(self, connection: C, cost: int | None = None, context: Context | None = None) -> C:
        """The same as `hit`."""
        return await self.hit(connection, cost, context)

    async def check(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """Whether a hit of `cost` would be admitted now, as the decision it would get; takes nothing.

        Somebody else may be faster: only a `hit` is certain. True if the strategy cannot tell.
        """
        return await drive(_recipes.decide(self, connection, cost, context, read_only=True))

    async def stat(self, connection: C, context: Context | None = None) -> StrategyStat | None:
        """What is left of the connection's quota; None if it is exempted or the strategy cannot tell."""
        return await drive(_recipes.stat(self, connection, context))

    async def reset(self, connection: C, context: Context | None = None) -> None:
        """Forget what the connection's client has used."""
        await drive(_recipes.reset(self, connection, context))

    async def decide(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """`hit` for code that answers refusals itself, such as a middleware: the decision, remembered, never raised."""
        decision = self._at_once(connection) if cost is None and context is None else None
        if decision is None:
            begun = _recipes.start(self, connection, cost, context)
            decision = begun if isinstance(begun, Decision) else await begun
            self.remember(connection, decision, cost is None and context is None)
        return decision

    def _at_once(self, connection: C) -> Decision | None:
        """The decision, remembered, where it takes no more than the address; None, and nothing done, elsewhere.

        This is `begin`, `identity` and `remember` in one, so that the adapter is looked for once: the way of most hits.
        """
        direct = self._direct
        if direct is None:
            return None
        adapter = adapters.adapter_of(connection)
        peer = adapter.peer(connection)
        if peer is None or ":" in peer or peer < "\x01" or len(peer) > MAX_LENGTH:
            return None  # `client_identity` or `local_key` would not leave it as it is
        charge, _, cost = direct
        decision = charge(peer, cost)
        memory = adapter.memory(connection)
        if memory:
            before = memory.pop(self, None)  # so that it comes last
            if before is not None and not self.websocket:
                self._see_twice(adapter, before, decision)
        memory[self] = decision
        return decision

    async def refuse(self, connection: C, decision: Decision, context: Context | None = None) -> object:
        """The rest of a refused `hit`: call the handler, or reject the connection in the framework's way.

        Returns:
            What the handler answered, for code that can send it, such as a middleware; None if none was asked.
        """
        return await drive(_recipes.refuse(self, connection, decision, context))

    def look(self) -> None:
        """See whether the short way of a hit is open, and whether it needs the address alone."""
        super().look()
        by_peer = self.identifier is None and not self._unseen and trust.in_force() is None
        self._direct = self.short if by_peer and self.floods is None else None

    def add_rule(self, rule: Rule) -> None:
        """Ask `rule` too, from now on, in every thread and loop.

        Raises:
            TypeError: it is no rule.
        """
        with binding.lock:
            self.rules = (self.rules or RuleSet()).with_rule(rule)
            self.look()

    def remove_rule(self, rule: Rule) -> None:
        """Ask `rule` no more, if it has it; without rules it is for everything."""
        with binding.lock:
            self.rules = self.rules and self.rules.without_rule(rule)
            self.look()

    take_rule, drop_rule = add_rule, remove_rule

    @property
    def plain(self) -> bool:
        """Whether it calls no function of the user's, so that of a connection only the address matters."""
        return self.identifier is self.rating is self.price is self.handler is None

    @property
    def sync(self) -> SyncThrottle[C]:
        """The same throttle for sync code."""
        return SyncThrottle(self)

    def identity(self, subject: C) -> str:
        """The client's address, as `traffik.trust` finds it.

        Raises:
            ConfigurationError: the connection has no address.
        """
        if self._unseen and trust.in_force() is None:
            left = self._unseen - 1
            self._unseen = max(left, 0)  # from several threads it may be counted down too far
            trust.look_for_proxies(subject)
            if left <= 0:
                binding.watch(self)  # opens the direct way
        return trust.identity_of(subject)

    def app(self, subject: C) -> object | None:
        return adapters.adapter_of(subject).app(subject)

    def remember(self, connection: C, decision: Decision, usual: bool = False) -> None:
        """Keep `decision` with the connection as its most recent one; it is a `usual` one if nothing was asked for."""
        adapter = adapters.adapter_of(connection)
        memory = adapter.memory(connection)
        before = memory.pop(self, None) if memory else None  # so that it comes last
        if before is not None and usual and not self.websocket:
            self._see_twice(adapter, before, decision)
        memory[self] = decision if self.floods is None else follow(before, decision)

    def _see_twice(self, adapter: adapters.Adapter, before: Decision, decision: Decision) -> None:
        """Of a request that is decided on again, see whether it was counted both times."""
        counted = before.allowed and decision.allowed and before is not ADMITTED and decision is not ADMITTED
        if counted and not self._seen_twice and not adapter.websocket:
            self._seen_twice = True
            _misconfiguration.counted_twice(self.uid)

    @ConstructorSignature
    def __signature__(self) -> inspect.Signature:
        """What a framework that injects dependencies sees: the connection, and nothing that comes from the client."""
        kind = self.injects or adapters.injected(websocket=self.websocket) or inspect.Parameter.empty
        return inspect.Signature(
            [inspect.Parameter("connection", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)]
        )


class HTTPThrottle(Throttle[C]):
    """A throttle for HTTP requests; takes what `Throttle` takes."""


class WebSocketThrottle(Throttle[C]):
    """A throttle for WebSockets, for opening one and for every message; takes what `Throttle` takes."""

    websocket = True


class SyncThrottle(Generic[C]):
    """A throttle for sync code: the same calls, the same quota; an async function among its options is a TypeError."""

    __slots__ = ("_throttle",)

    def __init__(self, throttle: Throttle[C]) -> None:
        self._throttle = throttle

    def hit(self, connection: C, cost: int | None = None, context: Context | None = None) -> C:
        """As `Throttle.hit`."""
        decision = self._throttle._at_once(connection) if cost is None and context is None else None
        if decision is None:
            decision = self.decide(connection, cost, context)
        if not decision.allowed:
            self.refuse(connection, decision, context)
        return connection

    __call__ = hit

    def check(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """As `Throttle.check`."""
        return drive_sync(_recipes.decide(self._throttle, connection, cost, context, read_only=True))

    def stat(self, connection: C, context: Context | None = None) -> StrategyStat | None:
        """As `Throttle.stat`."""
        return drive_sync(_recipes.stat(self._throttle, connection, context))

    def reset(self, connection: C, context: Context | None = None) -> None:
        """As `Throttle.reset`."""
        drive_sync(_recipes.reset(self._throttle, connection, context))

    def decide(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """As `Throttle.decide`."""
        throttle = self._throttle
        decision = throttle._at_once(connection) if cost is None and context is None else None
        if decision is None:
            begun = _recipes.begin(throttle, connection, cost, context)
            decision = begun if isinstance(begun, Decision) else drive_sync(begun)
            throttle.remember(connection, decision, cost is None and context is None)
        return decision

    def refuse(self, connection: C, decision: Decision, context: Context | None = None) -> object:
        """As `Throttle.refuse`."""
        return drive_sync(_recipes.refuse(self._throttle, connection, decision, context))


def is_throttled(connection: object, throttle: Throttle[Any] | None = None) -> bool:
    """Whether the most recent hit of the connection was refused; False if there was none.

    Args:
        connection: what was hit.
        throttle: ask about the most recent hit of this throttle alone.
    """
    decision = _remembered(connection, throttle)
    return decision is not None and not decision.allowed


def get_wait(connection: object, throttle: Throttle[Any] | None = None) -> float:
    """Milliseconds, rounded up, that the most recent hit was told to wait; 0 if it was admitted or there was none.

    Args:
        connection: what was hit.
        throttle: ask about the most recent hit of this throttle alone.
    """
    decision = _remembered(connection, throttle)
    return 0.0 if decision is None else decision.wait_ms


def _remembered(connection: object, throttle: Throttle[Any] | None) -> Decision | None:
    memory = adapters.adapter_of(connection).memory(connection)
    return next(reversed(memory.values()), None) if throttle is None else memory.get(throttle)
