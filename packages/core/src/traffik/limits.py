"""What a throttle and a limiter have in common: a uid, rates, a cost, and the store they are counted in.

Options that may be a value or a callable are made alike here, once. How a hit goes is in the recipes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from traffik import _misconfiguration, answers, uids
from traffik._callables import Callback, Context, callback
from traffik._making import Repeatable
from traffik.backends import binding
from traffik.backends.base import Backend
from traffik.costs import check_cost
from traffik.decisions import Decision, PartitionedDecision
from traffik.descriptions import describe
from traffik.headers import Policies, policies
from traffik.keys import as_text, check_uid
from traffik.outgoing import Outgoing
from traffik.rates import Rate, Rates, parse_rates
from traffik.rules import Rule, RuleSet
from traffik.strategies import Plan, SlidingWindow, Strategy, plan

if TYPE_CHECKING:
    from traffik.backends.base import Charger, Sender

__all__ = ["CostOption", "Limit", "RateOption", "check_context"]

CostOption: TypeAlias = int | Callable[..., int | Awaitable[int]]
"""What an argument named `cost` takes: an integer, or a function of the connection and the context, sync or async."""

RateOption: TypeAlias = Rates | Callable[..., Rates | Awaitable[Rates]]
"""What an argument named `rate` takes: one rate or several, or a function as for a cost that answers them."""

_Short: TypeAlias = tuple["Charger", int, int]
"""What the short way of a hit needs: the store's charger, the plan's ceiling and the limit's own cost."""

_Far: TypeAlias = tuple["Sender", int, int]
"""The same for a store that has to be waited for."""

_REMEMBERED: Final = 256
"""Plans and policies kept of a callable rate; more different ones than that are worked out again."""


class Limit(Repeatable):
    """Not made by itself: the part of `HTTPThrottle`, `WebSocketThrottle` and `Limiter` that counts."""

    subject: ClassVar[str]
    """What a callable option is called with, before the context."""

    identifier: Callback | None = None

    rules: RuleSet | None = None
    """Which subjects it is for; None for all of them."""

    def __init__(
        self,
        uid: str,
        rate: RateOption,
        *,
        strategy: Strategy | None = None,
        backend: Backend | None = None,
        cost: CostOption = 1,
        context: Context | None = None,
        outgoing: Outgoing | None = None,
    ) -> None:
        self.uid = check_uid(uid)
        self.rate = rate
        self.strategy: Strategy = SlidingWindow() if strategy is None else strategy
        self.backend = _checked(backend)
        self.context: Context = dict(check_context(context) or {})
        self.enabled = True
        self.cost = 1 if callable(cost) else check_cost(cost)
        self.price = self._callback("the cost", cost) if callable(cost) else None
        self.rating = self._callback("the rate", rate) if callable(rate) else None
        self.plan = plan(self.strategy, () if callable(rate) else parse_rates(rate))
        self._plans: dict[Rates, Plan] = {}
        if not isinstance(outgoing, Outgoing | None):
            raise TypeError(f"outgoing is an Outgoing, such as Outgoing(jitter=5), or None, not {describe(outgoing)}")
        self._own_outgoing = outgoing
        self._own_policies = policies(self.uid, self.plan.rates, self.outgoing)
        self._policies: dict[Rate, Policies] = {}
        self.place = uids.place_of_caller()
        self.short: _Short | None = None
        self.far: _Far | None = None
        self.scopes: set[int] | None = set()
        if self.price is None and 0 < self.plan.capacity < self.cost:
            _misconfiguration.nothing_fits(self.uid, self.cost, self.plan.capacity)
        if binding.any_open():
            _misconfiguration.limit_made(self.uid, self.place)
        # The same ways where rules are asked first.
        self.ruled_short: _Short | None = None
        self.ruled_far: _Far | None = None
        binding.watch(self)

    def look(self) -> None:
        """See whether a short way of a hit is open: nothing to ask of anybody but the store."""
        self.short = self.far = self.ruled_short = self.ruled_far = None
        outgoing = self.outgoing
        if self._own_policies.outgoing is not outgoing:
            self._own_policies = policies(self.uid, self.plan.rates, outgoing)
            self._policies = {}
        # The only store that is open is the one that every application means.
        backend = binding.open_one() if self.backend is None else self.backend
        asks = self.rating is not None or self.price is not None or self.context
        if backend is None or asks or not self.enabled or not 0 < self.cost <= self.plan.ceiling:
            return
        if backend.in_process:
            charger = backend.charger(self.uid, self.plan)
            short = (_marking(charger, self) if outgoing.keyed else charger, self.plan.ceiling, self.cost)
            self.short, self.ruled_short = (short, None) if self.rules is None else (None, short)
        elif not outgoing.keyed:
            far = (backend.sender(self.uid, self.plan), self.plan.ceiling, self.cost)
            self.far, self.ruled_far = (far, None) if self.rules is None else (None, far)

    def note_scope(self, scope: str) -> None:
        """Count the scopes it is hit in, until there are too many to be meant."""
        scopes = self.scopes
        if scopes is not None:
            scopes.add(hash(scope))
            if len(scopes) > _misconfiguration.MOST_SCOPES:
                self.scopes = None
                _misconfiguration.many_scopes(self.uid)

    def disable(self) -> None:
        """Admit everything and count nothing, until `enable`."""
        self.enabled = False
        binding.watch(self)

    def enable(self) -> None:
        """Count again, from where it stood."""
        self.enabled = True
        binding.watch(self)

    def take_rule(self, rule: Rule) -> None:
        """Be told of a rule for a group that it is in; what it counts may have neither path nor method."""

    def drop_rule(self, rule: Rule) -> None:
        """Be told that it is taken back."""

    def identity(self, subject: Any) -> object:
        """Whose quota it is when there is no identifier."""
        return subject

    def app(self, subject: Any) -> object | None:
        """The application in which `subject` arrived."""
        return None

    def store(self, subject: Any) -> Backend:
        """The store to count `subject` in.

        Raises:
            BackendNotFoundError: none, or more than one, could be meant.
        """
        return self.backend if self.backend is not None else binding.resolve(self.app(subject))

    def plan_for(self, rates: Rates) -> Plan:
        """The plan for what a callable rate has answered."""
        if not isinstance(rates, str | Rate):
            rates = parse_rates(rates)
        found = self._plans.get(rates)
        if found is None:
            found = plan(self.strategy, () if rates == () else parse_rates(rates), varying=True)
            _remember(self._plans, rates, found)
        return found

    def policies(self, decision: Decision) -> Policies:
        """The policies that go out with `decision`: all of a fixed limit, the one that binds of a callable rate."""
        if self.rating is None or decision.rate is None:
            return self._own_policies
        table = self._policies  # taken first: whatever is stored in it belongs to what went out then
        found = table.get(decision.rate)
        if found is None:
            found = policies(self.uid, (decision.rate,), self._own_policies.outgoing)
            _remember(table, decision.rate, found)
        return found

    @property
    def outgoing(self) -> Outgoing:
        """What goes out with its decisions: its own, or else the default of the process."""
        return answers.outgoing_by_default() if self._own_outgoing is None else self._own_outgoing

    def marked(self, decision: Decision, key: str) -> Decision:
        """`decision`, knowing whose it is if what goes out depends on that."""
        outgoing = self._own_policies.outgoing
        return PartitionedDecision.of(decision, outgoing.partition(key)) if outgoing.keyed else decision

    @property
    def definition(self) -> tuple[object, ...]:
        """What makes two limits the same; functions by where they are written."""
        options = (self.rating, self.price, self.identifier)
        rates = self.plan.rates if self.rating is None else ()
        return (type(self), rates, self.strategy, self.cost, *(option and option.written for option in options))

    def __repr__(self) -> str:
        rate = self.rating.name if self.rating else "; ".join(map(str, self.plan.rates)) or "unlimited"
        return f"<{type(self).__name__} uid={self.uid!r} rate={rate!r} strategy={describe(self.strategy)}>"

    def _callback(self, what: str, function: Callable[..., Any]) -> Callback:
        return callback(what, function, (self.subject, "context"))


def _marking(charge: Charger, limit: Limit) -> Charger:
    """A charger whose decisions know whose they are."""
    return lambda key, cost: limit.marked(charge(key, cost), key)


def check_context(context: object) -> Context | None:
    """`context` itself.

    Raises:
        TypeError: it is no mapping, or its scope is of a kind whose text does not tell its values apart.
    """
    if context is None:
        return None
    if not isinstance(context, Mapping):
        raise TypeError(f'a context is a mapping, such as {{"scope": "upload"}}, not {describe(context)}')
    if context.get("scope") is not None:
        as_text(context["scope"], "the scope")
    return context


def _checked(backend: Backend | None) -> Backend | None:
    if not isinstance(backend, Backend | None):
        raise TypeError(f"a backend is a store, such as InMemoryBackend(), or None, not {describe(backend)}")
    return backend


def _remember(table: dict[Any, Any], key: object, value: object) -> None:
    if len(table) >= _REMEMBERED:
        table.clear()
    table[key] = value
