"""The common part of throttles and limiters: a uid, rates, a cost, and the store they are counted in.

Options that may be a value or a function are normalized here, once. The path of a hit is in `traffik.limits.hits`.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, ParamSpec, TypeAlias, TypeVar

from traffik.backends import binding
from traffik.backends.base import Backend, Calls
from traffik.events.observers import Recorder, recorder_of
from traffik.limits import defaults, uids
from traffik.limits.copies import copied, pickled
from traffik.limits.floods import FloodPolicy
from traffik.limits.options import check_options
from traffik.model.callables import Callback, Context, callback
from traffik.model.costs import check_cost
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

__all__ = ["BoundPlan", "CostOption", "Limit", "RateOption", "check_context"]

CostOption: TypeAlias = int | Callable[..., int | Awaitable[int]]
"""What an argument named `cost` takes: an integer, or a function of the connection and the context, sync or async."""

RateOption: TypeAlias = Rates | Callable[..., Rates | Awaitable[Rates]]
"""What an argument named `rate` takes: one rate or several, or a function as for a cost that answers them."""


_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BoundPlan:
    """A plan and the calls for it to one store.

    Attributes:
        plan: the strategy, made ready for the rates.
        calls: the calls for async code; None if the store depends on the application of each connection.
        sync_calls: the calls for sync code.
    """

    plan: Plan
    calls: Calls | None
    sync_calls: Calls | None


_REMEMBERED: Final = 256
"""Plans, policies and calls kept of a callable rate; more of them are prepared again."""


class Limit:
    """Not made by itself: the part of `HTTPThrottle`, `WebSocketThrottle` and `Limiter` that counts."""

    subject: ClassVar[str]
    """What a callable option is called with, before the context."""

    identifier: Callback | None = None

    @property
    def identified_by(self) -> str:
        """The name of the identity in errors."""
        return "the identity" if self.identifier is None else self.identifier.name

    handler: Callback | None = None
    """Called for a refused subject instead of the framework's rejection."""

    floods: FloodPolicy | None = None
    """What happens to a WebSocket whose messages keep being refused; None to reject each message."""

    rules: RuleSet | None = None
    """Which subjects it is for; None for all of them."""

    rejects: ClassVar[bool] = False
    """Whether its subjects are connections, which it rejects; for others a refusal is a value."""

    finish: Recorder | None
    """The last step of a hit, for a limit that is watched or marks its decisions; None if there is nothing to do."""

    if not TYPE_CHECKING:  # type checkers see the constructor alone

        def __new__(cls, *arguments: Any, **options: Any) -> Self:
            """Name the right option where somebody uses the one of another limiter."""
            check_options(cls, options)
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
        self.own_plan = plan(self.strategy, () if callable(rate) else parse_rates(rate))
        if not isinstance(responses, ResponseOptions | None):
            raise TypeError(f"responses are None or ResponseOptions(), not {describe(responses)}")
        self._own_responses = responses
        self._own_policies = policies(self.uid, self.own_plan.rates, self.responses)
        self._policies: dict[Rate, PreparedPolicies] = {}
        self.place = place_of_caller()
        self.scopes: set[int] | None = set()
        self.settled: set[Backend | None] = set()
        """Stores in which it may count, and limits with the same uid and another definition may not."""
        self.shares_uid = False
        """Whether there was another limit with this uid."""
        self.contested = False
        """Whether one of those has another definition; then each store is checked before this one counts in it."""
        if self.price is None and 0 < self.own_plan.capacity < self.cost:
            misconfiguration.nothing_fits(self.uid, self.cost, self.own_plan.capacity)
        if binding.any_open():
            misconfiguration.limit_made(self.uid, self.place)
        binding.add_watcher(self)

    def refresh(self) -> None:
        """Prepare what a hit needs. Called when a store opens or closes, and when a setting changes."""
        responses = self.responses
        if self._own_policies.responses is not responses:
            self._own_policies = policies(self.uid, self.own_plan.rates, responses)
            self._policies = {}
        self._record = recorder_of(self.uid, self._name_of)
        self.finish = self.recorded if responses.keyed else self._record
        scope = self.context.get("scope")
        self.scope = None if scope is None else as_text(scope, "the scope")
        self.gated = not self.enabled or self.rules is not None
        self.identify = self._identify()
        # The only store that is open is the one that every application means.
        self._store = binding.open_one() if self.backend is None else self.backend
        self.settled = self.settled & {self.backend}
        self._calls: dict[tuple[Backend, Plan, bool], Calls] = {}
        self._by_rates: dict[Rates, BoundPlan] = {}
        self.bound = self._bound(self.own_plan)

    def _bound(self, plan: Plan) -> BoundPlan:
        store = self._store
        if store is None or self.contested:
            return BoundPlan(plan, None, None)
        return BoundPlan(plan, self._calls_to(store, plan, sync=False), self._calls_to(store, plan, sync=True))

    def calls_for(self, subject: Any, plan: Plan, sync: bool) -> Calls:
        """The calls for `plan` to the store that counts `subject`.

        Raises:
            BackendNotFoundError: none, or more than one, store could be meant.
            DuplicateUidError: another limit with this uid counts in that store.
        """
        backend = self.store(subject)
        found = self._calls.get((backend, plan, sync))
        if found is None:
            if self.contested:
                uids.settle(self, backend)
            found = self._calls_to(backend, plan, sync=sync)
            if backend is self.backend or binding.is_open(backend):
                _remember(self._calls, (backend, plan, sync), found)
        return found

    def _calls_to(self, backend: Backend, plan: Plan, *, sync: bool) -> Calls:
        calls = backend.prepare(self.uid, plan, sync=sync)
        if not plan.stats:
            calls = replace(calls, read=_admit)
        if sync and not backend.in_process:
            calls = _blocking(self.uid, calls)
        if backend.probe is not None:
            calls = replace(calls)  # the probe changes its charge; a store may hand out one object again and again
            backend.probe.watch(calls)
        return calls

    def merged(self, context: Context) -> tuple[Context, str | None]:
        """The context of a call over the limit's own, and the scope it says."""
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
        """Count the scopes it is hit in, until there are too many to be meant."""
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
        """Count again, from where it stood."""
        self.enabled = True
        binding.add_watcher(self)

    def remember(self, subject: Any, decision: Decision, usual: bool = False) -> None:
        """Keep `decision` with a connection as its most recent one; it is a `usual` one if nothing was asked for."""

    def update(self, subject: Any, decision: Decision) -> None:
        """Replace the decision that a connection remembers, since units were given back or charged."""

    def add_rule(self, rule: Rule) -> None:
        """Take a rule of a group. Does nothing where a subject has no path or method."""

    def remove_rule(self, rule: Rule) -> None:
        """Drop a rule of a group."""

    def _identify(self) -> Callable[[Any, Context], object] | None:
        """The function that returns whose quota a hit counts in; None if that is the subject itself."""
        return None

    def app(self, subject: Any) -> object | None:
        """The application in which `subject` arrived."""
        return None

    def advice(self, subject: Any) -> str:
        """What to do where there is no store for `subject`, for an error."""
        return binding.ADVICE

    def store(self, subject: Any) -> Backend:
        """The store to count `subject` in.

        Raises:
            BackendNotFoundError: none, or more than one, could be meant.
        """
        return self._store if self._store is not None else binding.resolve(self.app(subject), self.advice(subject))

    def bound_for(self, rates: Rates) -> BoundPlan:
        """`bound` for the rates that a rate function returned."""
        if type(rates) is not str and not isinstance(rates, Rate):
            rates = parse_rates(rates)
        found = self._by_rates.get(rates)
        if found is None:
            found = self._bound(plan(self.strategy, () if rates == () else parse_rates(rates), varying=True))
            _remember(self._by_rates, rates, found)
        return found

    def policies(self, decision: Decision) -> PreparedPolicies:
        """The policies that go out with `decision`: all of a fixed limit, the one that binds of a callable rate."""
        if self.rating is None or decision.rate is None:
            return self._own_policies
        table = self._policies  # taken first: whatever is stored in it belongs to what went out then
        found = table.get(decision.rate)
        if found is None:
            found = policies(self.uid, (decision.rate,), self._own_policies.responses)
            _remember(table, decision.rate, found)
        return found

    @property
    def responses(self) -> ResponseOptions:
        """What goes out with its decisions: its own, or else the default of the process."""
        return defaults.default_responses() if self._own_responses is None else self._own_responses

    def marked(self, decision: Decision, key: str) -> Decision:
        """`decision`, knowing whose it is if what goes out depends on that."""
        responses = self._own_policies.responses
        return PartitionedDecision.of(decision, responses.partition(key)) if responses.keyed else decision

    def note(self, decision: Decision, key: str, cost: int, action: str) -> Decision:
        """Tell those who watch this limit of `decision`, unless the action is `SILENT`."""
        return self._record(decision, key, cost, action) if action and self._record is not None else decision

    def recorded(self, decision: Decision, key: str, cost: int, action: str) -> Decision:
        """`decision`, noted and marked."""
        return self.marked(self.note(decision, key, cost, action), key)

    def _name_of(self, decision: Decision) -> str | None:
        return self.policies(decision).name(decision)

    @property
    def definition(self) -> tuple[object, ...]:
        """What makes two limits the same; functions by where they are written."""
        options = (self.rating, self.price, self.identifier)
        rates = self.own_plan.rates if self.rating is None else ()
        return (type(self), rates, self.strategy, self.cost, *(option and option.written for option in options))

    def __repr__(self) -> str:
        rate = self.rating.name if self.rating else "; ".join(map(str, self.own_plan.rates)) or "unlimited"
        return f"<{type(self).__name__} uid={self.uid!r} rate={rate!r} strategy={describe(self.strategy)}>"

    def _callback(self, what: str, function: Callable[..., Any]) -> Callback:
        return callback(what, function, (self.subject, "context"))


def _blocking(uid: str, calls: Calls) -> Calls:
    """Calls that block, with a notice if they block an event loop."""

    def watched(call: Callable[_P, _T]) -> Callable[_P, _T]:
        def blocking(*arguments: _P.args, **named: _P.kwargs) -> _T:
            if _in_event_loop():
                misconfiguration.waiting_on_a_loop(uid)
            return call(*arguments, **named)

        return blocking

    return Calls(watched(calls.charge), watched(calls.read), watched(calls.reset), calls.account)


def _in_event_loop() -> bool:
    """Whether this thread runs asyncio's event loop; it does not if asyncio has never been imported."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def _admit(_key: str, _cost: int) -> Decision:
    """The answer of a strategy whose decisions cannot be tried out."""
    return ADMITTED


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
