"""Decisions on hits whose store does not answer: the error policy, and the fallback limiter in this process.

Each of these decisions has its reason in `Decision.degraded`: ``"fallback"``, ``"allow"`` or ``"unavailable"``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeGuard

from traffik.backends.base import Charge
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.postings import HOLD, TAKE_UP_TO, TRY, Posted, Taken
from traffik.model.callables import Callback, callback
from traffik.model.decisions import ADMITTED, UNAVAILABLE, Decision
from traffik.model.descriptions import describe
from traffik.model.rates import Rate
from traffik.strategies import Plan, Strategy, plan

if TYPE_CHECKING:
    from traffik.backends.postings import Held, LimitAccount, Posting, Take
    from traffik.model.errors import BackendError

__all__ = ["Failures", "OnError", "Policy", "charge_of", "charges_of", "check_deadline"]

Policy: TypeAlias = Literal["fallback", "allow", "throttle", "raise"]

OnError: TypeAlias = "Policy | Callable[[BackendError, Charge], Policy | Decision | Awaitable[Policy | Decision]]"
"""The type of arguments named `on_error`: a policy, or a function of the error and the charge, sync or async, that
returns a policy or a decision."""

_POLICIES: Final = ("fallback", "allow", "throttle", "raise")


def check_deadline(deadline: float) -> float:
    """The deadline of a store, in seconds.

    Raises:
        ValueError: it is not a number above 0.
    """
    if isinstance(deadline, bool) or not isinstance(deadline, int | float) or not deadline > 0:
        raise ValueError(f"a deadline is a number of seconds above 0, such as 0.25 for 250 ms, not {deadline!r}")
    return deadline


class Failures:
    """The error policy of one store.

    Args:
        on_error: see `OnError`.
        share: the part of each limit that this process admits while the store does not answer, above 0, at most 1.

    Raises:
        TypeError, ValueError: either is none of the above.
    """

    def __init__(self, on_error: OnError, share: float) -> None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            raise ValueError(f"a fallback share is a number above 0 and at most 1, not {share!r}")
        self.policy: Policy | None = None
        self.decider: Callback | None = None
        if callable(on_error):
            self.decider = callback("on_error", on_error, ("error", "charge"))
        else:
            self.policy = self.checked(on_error)
        self._share = share
        self._spare = InMemoryBackend.spare()
        self._shared = lru_cache(maxsize=1024)(self._share_of)

    @staticmethod
    def checked(policy: object) -> Policy:
        """`policy`, once it is known to be one.

        Raises:
            ValueError: it is not a policy.
        """
        if not _is_policy(policy):
            known = ", ".join(_POLICIES)
            raise ValueError(f"on_error is one of {known}, or a function that returns one, not {describe(policy)}")
        return policy

    def settle(self, answer: object, error: BackendError, charge: Charge, wait: int) -> Decision:
        """The decision by the policy, or by the result of the function. The arguments are those of `decide`.

        Raises:
            BackendError: the policy is ``"raise"``.
            ValueError: the function has returned neither a policy nor a decision.
        """
        if isinstance(answer, Decision):
            return answer._replace(degraded=answer.degraded or "on_error")
        return self.decide(self.checked(answer), error, charge, wait)

    def decide(self, policy: Policy, error: BackendError, charge: Charge, wait: int) -> Decision:
        """The decision on `charge` without its store.

        Args:
            policy: the policy to follow.
            error: the error of the store.
            charge: the charge that the store was asked for.
            wait: µs until the store is asked again.

        Raises:
            BackendError: the policy is ``"raise"``.
        """
        if policy == "raise":
            raise error
        if policy == "allow":
            return ADMITTED._replace(degraded="allow")
        if policy == "throttle":
            limit = charge.plan.capacity
            return Decision(False, limit, 0, retry_after=max(1, wait), reset_after=max(1, wait), degraded=UNAVAILABLE)
        return self._fall_back(charge, wait)

    def take(
        self, answers: Sequence[object], error: BackendError, takes: Sequence[Take], kind: int, wait: int
    ) -> Taken:
        """The result of `Backend.take` without the store. The fallback decides its takes as one decision.

        Args:
            answers: for each take the policy, or what the function has answered.
            error: what is wrong with the store.
            takes: what was asked of it, and so is `kind`.
            wait: µs until the store is asked again.

        Raises:
            BackendError, ValueError: as `settle`.
        """
        decisions = [ADMITTED] * len(takes)
        held: list[Held] = [None] * len(takes)
        ours: list[int] = []
        for place, (answer, charge) in enumerate(zip(answers, charges_of(takes, kind), strict=True)):
            if answer == "fallback":
                ours.append(place)
            else:
                decisions[place] = self.settle(answer, error, charge, wait)
        spares = [(self._spare_account(takes[place][0]), *takes[place][1:]) for place in ours]
        if spares:
            taken = self._spare.take(spares, kind if all(decisions) else TRY, sync=True)
            for place, decision in zip(ours, taken.decisions, strict=True):
                decisions[place] = self._of_spare(takes[place][0].plan, decision, wait)
            for place, each in zip(ours, taken.held, strict=False):
                held[place] = each
        return Taken(decisions, held if kind == HOLD and all(decisions) else ())

    def post(
        self, answers: Sequence[object], error: BackendError, postings: Sequence[Posting], wait: int
    ) -> list[Posted]:
        """The result of `Backend.post` without the store. Arguments and errors are those of `take`.

        What was taken in the store cannot be given back without it, so it stays taken.
        """
        return [self._post(*each, error, wait) for each in zip(answers, postings, strict=True)]

    def _post(self, answer: object, posting: Posting, error: BackendError, wait: int) -> Posted:
        plan = posting.account.plan
        if answer == "fallback" and posting.units >= 0:
            (posted,) = self._spare.post([posting._replace(account=self._spare_account(posting.account))], sync=True)
            return posted._replace(decision=self._of_spare(plan, posted.decision, wait))
        decision = self.settle(answer, error, charge_of(posting), wait)
        units = posting.units if posting.kind == TAKE_UP_TO and decision.allowed else 0
        return Posted(decision, units, (decision.retry_after,) * len(posting.costs))

    def _spare_account(self, account: LimitAccount) -> LimitAccount:
        return self._spare.account(account.uid, self._shared(account.plan)[0])

    def reset(self) -> None:
        """Forget the quota used in the fallback limiter."""
        self._spare.reset_sync()

    def _fall_back(self, charge: Charge, wait: int) -> Decision:
        (decision,) = self._spare.apply_sync((charge._replace(plan=self._shared(charge.plan)[0]),))
        return self._of_spare(charge.plan, decision, wait)

    def _of_spare(self, whole: Plan, decision: Decision, wait: int) -> Decision:
        """A decision of our share of a plan, as one of the whole."""
        if decision.never:
            # only the share is too small for this cost, and the store may admit it
            decision = decision._replace(retry_after=max(1, wait))
        rates = self._shared(whole)[1]
        rate = None if decision.rate is None else rates.get(decision.rate, decision.rate)
        return decision._replace(rate=rate, degraded="fallback")

    def _share_of(self, whole: Plan) -> tuple[Plan, dict[Rate, Rate]]:
        """The plan for the share of each rate, and the original of each of its rates."""
        if self._share == 1:
            return whole, {}
        rates = [Rate(_part(rate.limit, self._share), rate.period) for rate in whole.rates]
        shared = plan(_shrunk(whole.strategy, self._share), rates, varying=whole.varying)
        return shared, dict(zip(rates, whole.rates, strict=True))


def charges_of(takes: Sequence[Take], kind: int) -> list[Charge]:
    """Takes as the function given as `on_error` sees them."""
    return [Charge(account.uid, account.plan, key, units, kind == TRY) for account, key, units in takes]


def charge_of(posting: Posting) -> Charge:
    """A posting as the function given as `on_error` sees it: it cannot be refused, so it only reads."""
    account = posting.account
    return Charge(account.uid, account.plan, posting.key, max(posting.units, 0), read_only=True)


def _shrunk(strategy: Strategy, share: float) -> Strategy:
    """A strategy with the share of its burst and of its debt, if it has any."""
    if not is_dataclass(strategy):
        return strategy
    names = [field.name for field in fields(strategy) if field.name in {"burst", "debt"}]
    parts: dict[str, Any] = {name: value for name in names if (value := getattr(strategy, name)) is not None}
    return replace(strategy, **{name: _part(value, share) for name, value in parts.items()})


def _part(whole: int, share: float) -> int:
    """`share` of an amount, rounded down, but at least 1 unless the amount is 0."""
    return max(1, int(whole * share)) if whole else 0


def _is_policy(policy: object) -> TypeGuard[Policy]:
    return isinstance(policy, str) and policy in _POLICIES
