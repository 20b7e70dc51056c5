"""Limits in the shadow: they count and report, and refuse no one.

A limit can be in the shadow as a whole (``shadow=True``), or have a second rate beside its own (``shadow_rate=…``), to
see what that would refuse. Both count in the same store as any limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from traffik.backends.base import Calls, Charge
from traffik.model.coroutines import run_sync
from traffik.model.decisions import ADMITTED, Decision
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError
from traffik.model.rates import Rates, parse_rates
from traffik.strategies import Strategy, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from traffik.backends.base import Backend
    from traffik.backends.postings import LimitAccount
    from traffik.strategies import Plan

__all__ = ["Shadow", "ShadowReport", "shadow_of", "shadow_uid"]


class ShadowReport(NamedTuple):
    """What a shadow has seen in this process since the limit was made, in hits.

    Attributes:
        admitted: both the live limit and the shadow admit.
        refused: both refuse; for a limit that is in the shadow as a whole, the hits that it would have refused.
        stricter: the live limit admits, and the shadow would have refused.
        looser: the live limit refuses, and the shadow would have admitted.
    """

    admitted: int = 0
    refused: int = 0
    stricter: int = 0
    looser: int = 0


@dataclass(slots=True, eq=False)
class Shadow:
    """Counts what a shadow decides.

    Attributes:
        plan: of the rate beside the live one; None if the limit is in the shadow as a whole.
    """

    plan: Plan | None
    _lock: Lock
    _report: ShadowReport

    @classmethod
    def of(cls, plan: Plan | None) -> Shadow:
        """A shadow that has seen nothing yet."""
        return cls(plan, Lock(), ShadowReport())

    @property
    def report(self) -> ShadowReport:
        """What it has seen."""
        return self._report

    def note(self, live: Decision, shadow: Decision) -> None:
        """Count a hit."""
        with self._lock:
            admitted, refused, stricter, looser = self._report
            if live.allowed:
                admitted, stricter = admitted + shadow.allowed, stricter + (not shadow.allowed)
            else:
                refused, looser = refused + (not shadow.allowed), looser + shadow.allowed
            self._report = ShadowReport(admitted, refused, stricter, looser)

    def around(self, calls: Calls, sync: bool) -> Calls:
        """The calls of a limit, which also count what the shadow decides."""
        store, account = calls.account.store, calls.account

        async def charge(key: str, cost: int) -> Decision:
            if self.plan is None:
                decision = await self._decided(calls, key, cost)
                self.note(decision, decision)
                return ADMITTED
            both = self._charges(account, key, cost)
            live, *shadow = store.apply_sync(both) if sync or store.in_process else await store.apply(both)
            return self._noted(live, shadow, cost)

        async def read(key: str, cost: int) -> Decision:
            if self.plan is None and cost:
                return ADMITTED
            answer = calls.read(key, cost)
            return answer if isinstance(answer, Decision) else await answer

        if not sync:
            return Calls(charge, read, calls.reset, account)
        return Calls(
            lambda key, cost: run_sync(charge(key, cost)),
            lambda key, cost: run_sync(read(key, cost)),
            calls.reset,
            account,
        )

    async def charge_beside(self, account: LimitAccount, key: str, cost: int, live: Decision, sync: bool) -> None:
        """Charge the rate beside a live one that has been decided with others, and compare."""
        charges = self._charges(account, key, cost)[1:]
        store: Backend = account.store
        self._noted(live, store.apply_sync(charges) if sync else await store.apply(charges), cost)

    async def _decided(self, calls: Calls, key: str, cost: int) -> Decision:
        """What a limit would decide that is in the shadow as a whole."""
        if cost > calls.account.plan.ceiling:
            return calls.account.plan.without_store(cost)
        answer = calls.charge(key, cost)
        return answer if isinstance(answer, Decision) else await answer

    def _charges(self, account: LimitAccount, key: str, cost: int) -> list[Charge]:
        """A charge of the live rate, and one of the rate beside it, unless that can never admit the cost."""
        live = Charge(account.uid, account.plan, key, cost)
        if self.plan is None or cost > self.plan.ceiling:
            return [live]
        return [live, Charge(shadow_uid(account.uid), self.plan, key, cost)]

    def _noted(self, live: Decision, shadow: Sequence[Decision], cost: int) -> Decision:
        if self.plan is not None:
            self.note(live, shadow[0] if shadow else self.plan.without_store(cost))
        return live


def shadow_of(strategy: Strategy, whole: bool, rate: Rates | None) -> Shadow | None:
    """The shadow that the options of a limit describe.

    Raises:
        ConfigurationError: both options are given.
        RateError, TypeError: one of them is of another kind.
    """
    if not isinstance(whole, bool):
        raise TypeError(f"shadow is True or False, not {describe(whole)}: for a second rate there is shadow_rate")
    if rate is None:
        return Shadow.of(None) if whole else None
    if whole:
        raise ConfigurationError("a limit has one shadow: shadow=True for all of it, or shadow_rate for another rate")
    return Shadow.of(plan(strategy, parse_rates(rate)))


def shadow_uid(uid: str) -> str:
    """The uid under which the rate beside that of `uid` counts."""
    return f"{uid}:shadow"
