"""The common part of throttles and limiters: a uid, rates, a cost, and the store they are counted in.

Options that may be a value or a function are normalized here, once. The path of a hit is in `traffik.limits.hits`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from traffik.backends import binding
from traffik.backends.base import Backend, Calls
from traffik.events.observers import recorder_of
from traffik.limits import defaults, fleet, uids
from traffik.limits.bans import Identify, guarded
from traffik.limits.blocking import blocking
from traffik.limits.copies import copied, pickled
from traffik.limits.floods import FloodPolicy
from traffik.limits.options import check_backend, check_options, check_responses, returned_rates
from traffik.limits.prepared import BoundPlan, UsualHit, keep, known_take
from traffik.limits.shadows import Shadow, shadow_of
from traffik.limits.tiers import Tiers
from traffik.model.callables import Callback, Context, callback, check_context
from traffik.model.costs import MAX_COST, check_cost
from traffik.model.decisions import ADMITTED, Decision, PartitionedDecision
from traffik.model.descriptions import describe
from traffik.model.keys import as_text, check_uid
from traffik.model.places import place_of_caller
from traffik.model.rates import Rate, Rates, parse_rates
from traffik.notices import misconfiguration
from traffik.responses.headers import PreparedPolicies, policies
from traffik.responses.options import ResponseOptions
from traffik.rules.rule import Rule, RuleSet
from traffik.strategies import Plan, SlidingWindow, Strategy, plan

if TYPE_CHECKING:
    from typing import Self

    from traffik.adapters import Memory
    from traffik.backends.postings import LimitAccount

__all__ = ["CostOption", "Limit", "RateOption"]

CostOption: TypeAlias = int | Callable[..., int | Awaitable[int]]
"""The type of arguments named `cost`: an integer, or a function of the connection and the context, sync or async."""

RateOption: TypeAlias = Rates | Callable[..., Rates | Awaitable[Rates]]
"""The type of arguments named `rate`: one rate or several, or a function of the connection and the context that
returns them, sync or async."""


class Limit:
    """The base class of `HTTPThrottle`, `WebSocketThrottle` and `Limiter`: the part that counts."""

    subject: ClassVar[str]
    """The name of the first argument of callable options. The second is the context."""

    identifier: Callback | None = None

    @property
    def identified_by(self) -> str:
        """The name of the identity in error messages."""
        return "the identity" if self.identifier is None else self.identifier.name

    handler: Callback | None = None
    """Called for a refused connection instead of the framework's rejection."""

    floods: FloodPolicy | None = None
    """How to react to a WebSocket whose messages keep being refused; None to reject each message."""

    rules: RuleSet | None = None
    """The connections that the limit applies to; None for all."""

    unit: str | None = None
    """The unit of quota where neither the rate nor the response options name one; None for requests."""

    shares_uid = False
    """Whether another limit with this uid has been made."""

    contested: bool = False
    """Whether one of them has a different definition. If so, a store is checked before this limit counts in it."""

    rejects: ClassVar[bool] = False
    """Whether it counts connections and rejects them. If not, a refusal is a returned value."""

    finish: Callable[[Decision, str, int, str], Decision] | None
    """The last step of a hit, for a limit that is watched or marks its decisions; None if there is nothing to do."""

    usual: UsualHit | None
    """Prepared if such hits differ only in the identity; None if they depend on rules, functions or the application."""

    repeated: tuple[LimitAccount, int] | None
    """The account and the cost of a usual hit whose key is known; None if they depend on more than the key."""

    if not TYPE_CHECKING:  # type checkers see only the constructor

        def __new__(cls, *arguments: Any, **options: Any) -> Self:
            """Check the names of the options, and suggest the right one for a name from another limiter."""
            check_options(cls, options, arguments)
            limit = super().__new__(cls)
            limit._made_with = arguments, options
            return limit

    def __reduce__(self) -> tuple[Any, ...]:
        return pickled(self, self._made_with)

    def __copy__(self) -> Self:
        made: Self = copied(self, self._made_with)
        return made

    def __deepcopy__(self, memo: object) -> Self:
        made: Self = copied(self, self._made_with)
        return made

    _made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __init__(
        self,
        uid: str,
        rate: RateOption,
        *,
        strategy: Strategy | None = None,
        backend: Backend | None = None,
        cost: CostOption = 1,
        context: Context | None = None,
        responses: ResponseOptions | None = None,
        shadow: bool = False,
        shadow_rate: Rates | None = None,
    ) -> None:
        self.uid: str = check_uid(uid)
        self.rate = rate
        self.strategy: Strategy = SlidingWindow() if strategy is None else strategy
        self.backend: Backend | None = check_backend(backend)
        self.context: Context = dict(check_context(context) or {})
        self.enabled: bool = True
        self.cost: int = 1 if callable(cost) else check_cost(cost)
        self.price: Callback | None = self._callback("the cost", cost) if callable(cost) else None
        self.rating = self._callback("the rate", rate) if callable(rate) else None
        if isinstance(rate, Tiers):
            rate.check(self.strategy)
        self.own_plan: Plan = plan(self.strategy, () if callable(rate) else parse_rates(rate))
        self._given: tuple[RateOption, Plan] = rate, self.own_plan
        self.shadow: Shadow | None = shadow_of(self.strategy, shadow, shadow_rate)
        self._own_responses = check_responses(responses)
        self._own_policies = policies(self.uid, self.own_plan.rates, self.responses)
        self._policies: dict[Rate, PreparedPolicies] = {}
        self.combinations: dict[tuple[Any, ...], Any] = {}  # see `traffik.limits.combinations.combination_of`
        self.place: str = place_of_caller()
        self.scopes: set[int] | None = set()
        self.settled: set[Backend | None] = set()  # where it counts, and limits with another definition may not
        if self.price is None and 0 < self.own_plan.capacity < self.cost:
            misconfiguration.nothing_fits(self.uid, self.cost, self.own_plan.capacity)
        if binding.any_open():
            misconfiguration.limit_made(self.uid, self.place)
        binding.add_watcher(self)

    def refresh(self) -> None:
        """Prepare everything that a hit needs. Called when a store opens or closes, and when a setting changes."""
        # if only one store is open, every application uses it
        self._store = binding.open_one() if self.backend is None else self.backend
        rate, counted = fleet.changed_rate(self._store, self) or self._given
        responses = self.responses
        if counted is not self.own_plan or self._own_policies.responses != responses:
            self._own_policies = policies(self.uid, counted.rates, responses)
            self._policies = {}
        recorder = recorder_of(self.uid, self._name_of)
        self._record = None if recorder is None else recorder.record
        self.keyed: bool = responses.keyed
        self.finish = None if recorder is None or self.in_shadow else recorder.hit
        if self.keyed:
            self.finish = self.recorded
        if self.shadow is not None:
            self.shadow.record = self._record
        self.watched: bool = self.finish is not None or self.shadow is not None
        scope = self.context.get("scope")
        self.scope: str | None = None if scope is None else as_text(scope, "the scope")
        self.gated: bool = not self.enabled or self.rules is not None
        identify = self._identify()
        self.identify: Identify = guarded(self.uid, counted, identify, self.identified_by)
        self.bans: bool = self.identify is not identify
        self.settled = self.settled & {self.backend}
        self._calls: dict[tuple[Backend, Plan, bool], Calls] = {}
        self._by_rates: dict[Rates, BoundPlan] = {}
        self.bound: BoundPlan = self._bound(counted)
        self.usual = self._usual()
        self.repeated = None if self.bans or self.watched else known_take(self.usual)
        self.rate, self.own_plan = rate, counted  # last, so that a limit that shows a rate counts by it

    def _usual(self) -> UsualHit | None:
        asks = self.gated or self.price is not None or self.rating is not None or self.bound.calls is None
        if asks or not 0 < self.cost <= self.bound.plan.ceiling:
            return None
        return UsualHit(self.context, self.scope, self.cost, self.bound)

    def _bound(self, plan: Plan) -> BoundPlan:
        store, asked = self._store, plan
        if self.in_shadow:
            asked = replace(plan, ceiling=MAX_COST)  # no cost is refused
        if store is None or self.contested or not store.record.followed:
            return BoundPlan(asked, None, None)
        return BoundPlan(asked, self._calls_to(store, plan, sync=False), self._calls_to(store, plan, sync=True))

    def calls_for(self, subject: Any, plan: Plan, sync: bool) -> Calls:
        """The calls for `plan` to the store that counts `subject`.

        Raises:
            BackendNotFoundError: no store is open, or it is unclear which one to use.
            DuplicateUidError: a limit with this uid and another definition counts in that store.
        """
        backend = self.store(subject)
        if not backend.record.followed:
            backend.record.follow()
        if backend is self._store and not self.contested:
            binding.add_watcher(self)  # from the next hit on, the calls are in `bound`
        found = self._calls.get((backend, plan, sync))
        if found is None:
            if self.contested:
                uids.settle(self, backend)
            found = self._calls_to(backend, plan, sync=sync)
            if backend is self.backend or binding.is_open(backend):
                keep(self._calls, (backend, plan, sync), found)
        return found

    def _calls_to(self, backend: Backend, plan: Plan, *, sync: bool) -> Calls:
        calls = backend.prepare(self.uid, plan, sync=sync)
        if not plan.stats:
            calls = replace(calls, read=_admit)
        if self.shadow is not None:
            calls = self.shadow.around(calls, sync)
        if sync and not backend.in_process:
            calls = blocking(self.uid, calls)
        if backend.probe is not None:
            calls = replace(calls)  # the probe changes its charge; a store may hand out one object again and again
            backend.probe.watch(calls)
        return calls

    def merged(self, context: Context) -> tuple[Context, str | None]:
        """The limit's context, updated with the context of a call, and its scope."""
        if self.context:
            context = {**self.context, **context}
        scope = context.get("scope")
        if scope is None:
            return context, None
        scope = as_text(scope, "the scope")
        if self.scopes is not None:
            self.note_scope(scope)
        return context, scope

    def note_scope(self, scope: str) -> None:
        """Count the scopes of the hits, and warn once if there are too many to be intended."""
        scopes = self.scopes
        if scopes is not None:
            scopes.add(hash(scope))
            if len(scopes) > misconfiguration.MOST_SCOPES:
                self.scopes = None
                misconfiguration.many_scopes(self.uid)

    def contest(self) -> None:
        """Check each store from now on, since another limit has the same uid and another definition."""
        self.contested = True
        binding.add_watcher(self)

    def disable(self) -> None:
        """Admit everything and count nothing, until `enable`."""
        self.enabled = False
        binding.add_watcher(self)

    def enable(self) -> None:
        """Count again. Usage from before `disable` still counts."""
        self.enabled = True
        binding.add_watcher(self)

    def remember(self, subject: Any, decision: Decision, usual: bool = False, memory: Memory | None = None) -> None:
        """Store `decision` on a connection as its most recent one. `usual`: the hit gave neither cost nor context."""

    def amend(self, subject: Any, decision: Decision) -> None:
        """Replace the decision stored on a connection, since units were given back or charged."""

    def add_rule(self, rule: Rule) -> None:
        """Add a rule of a group. Does nothing if the limit does not count connections."""

    def remove_rule(self, rule: Rule) -> None:
        """Remove a rule of a group."""

    @property
    def identity_source(self) -> object:
        """What identifies a subject. Limits with equal sources get the same identity, unless a context divides them."""
        return None

    def _identify(self) -> Callable[[Any, Context], object] | None:
        """The function that returns the identity of a subject; None if the subject is the identity."""
        return None

    def app(self, subject: Any) -> object | None:
        """The application in which `subject` arrived."""
        return None

    def advice(self, subject: Any) -> str:
        """For error messages: how to set up a store for `subject`."""
        return binding.ADVICE

    def store(self, subject: Any) -> Backend:
        """The store to count `subject` in.

        Raises:
            BackendNotFoundError: no store is open, or it is unclear which one to use.
        """
        return self._store if self._store is not None else binding.resolve(self.app(subject), self.advice(subject))

    def bound_for(self, rates: Rates) -> BoundPlan:
        """`bound` for the rates that a rate function returned."""
        if type(rates) is not str and not isinstance(rates, Rate):
            rates = returned_rates(self.rating, rates)
        found = self._by_rates.get(rates)
        if found is None:
            found = self._bound(plan(self.strategy, returned_rates(self.rating, rates), varying=True))
            keep(self._by_rates, rates, found)
        return found

    def policies(self, decision: Decision) -> PreparedPolicies:
        """The policies for the headers of `decision`: all of the limit, or with a callable rate the binding one."""
        if self.rating is None or decision.rate is None:
            return self._own_policies
        table = self._policies  # read once, since another thread may replace it
        found = table.get(decision.rate)
        if found is None:
            found = policies(self.uid, (decision.rate,), self._own_policies.responses)
            keep(table, decision.rate, found)
        return found

    @property
    def responses(self) -> ResponseOptions:
        """The response options of the limit; the default of the process if it has none."""
        given = defaults.default_responses() if self._own_responses is None else self._own_responses
        return given if self.unit is None or given.unit is not None else replace(given, unit=self.unit)

    def count_in(self, unit: str) -> None:
        """Let `unit` be the unit of quota where neither the rate nor the response options name one."""
        self.unit = unit
        binding.add_watcher(self)

    @property
    def in_shadow(self) -> bool:
        """Whether it counts and reports, but admits everything."""
        return self.shadow is not None and self.shadow.plan is None

    def marked(self, decision: Decision, key: str) -> Decision:
        """`decision`, with the partition of the client if the headers show it."""
        return PartitionedDecision.of(decision, self._own_policies.responses.partition(key)) if self.keyed else decision

    def count_by(self, rate: Rates | Tiers, prepared: Plan) -> None:
        """Count by another rate from now on, for which `prepared` is the plan; see `traffik.limits.changes`."""
        self._given = rate, prepared
        self.rating = self._callback("the rate", rate) if callable(rate) else None
        binding.add_watcher(self)

    @property
    def known_rates(self) -> tuple[Rate, ...]:
        """All rates that it may count by: its own or those of its tiers; none if a function returns them."""
        return self.rate.all_rates if isinstance(self.rate, Tiers) else self.own_plan.rates

    def note(self, decision: Decision, key: str, cost: int, action: str) -> Decision:
        """Report `decision` to the watchers of this limit, unless it is `SILENT` or the shadow has reported it."""
        if action and self._record is not None and not (key and self.in_shadow and decision == ADMITTED):
            self._record(decision, key, cost, action)
        return decision

    def recorded(self, decision: Decision, key: str, cost: int, action: str) -> Decision:
        """`decision`, noted and marked."""
        return self.marked(self.note(decision, key, cost, action), key)

    def _name_of(self, decision: Decision) -> str | None:
        return self.policies(decision).name(decision)

    @property
    def definition(self) -> tuple[object, ...]:
        """Two limits with equal definitions are the same limit. Functions are compared by their place in the source."""
        options = (self.rating, self.price, self.identifier)
        rates = self._given[1].rates if self.rating is None else ()
        return (type(self), rates, self.strategy, self.cost, *(option and option.written for option in options))

    @property
    def rate_text(self) -> str:
        """The rate by which it counts now, as text; the name of its rate function, if it has one."""
        return self.rating.name if self.rating else "; ".join(map(str, self.own_plan.rates)) or "unlimited"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} uid={self.uid!r} rate={self.rate_text!r} strategy={describe(self.strategy)}>"

    def _callback(self, what: str, function: Callable[..., Any]) -> Callback:
        return callback(what, function, (self.subject, "context"))


def _admit(_key: str, _cost: int) -> Decision:
    """The decision on a check if the strategy cannot decide without consuming."""
    return ADMITTED
