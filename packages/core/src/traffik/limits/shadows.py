"""Shadow limits: they count and report which hits they would refuse, but refuse nothing.

A whole limit can be a shadow (``shadow=True``), or a live limit can have a second rate as a shadow (``shadow_rate=…``).
Both count in the store, as any limit does.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from traffik.backends.base import Calls, Charge
from traffik.events.records import TRIAL
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
    from traffik.events.recorders import Note
    from traffik.strategies import Plan

__all__ = ["Shadow", "ShadowReport", "shadow_of", "shadow_uid"]


class ShadowReport(NamedTuple):
    """The decisions of a shadow in this process since the limit was made, in numbers of hits.

    Attributes:
        admitted: the live limit admitted, and so would the shadow.
        refused: the live limit refused, and so would the shadow. If the whole limit is a shadow, the hits that it would
            have refused.
        stricter: the live limit admitted, and the shadow would have refused.
        looser: the live limit refused, and the shadow would have admitted.
    """

    admitted: int = 0
    refused: int = 0
    stricter: int = 0
    looser: int = 0


@dataclass(slots=True, eq=False)
class Shadow:
    """Counts the decisions of a shadow.

    Attributes:
        plan: the plan for the shadow rate; None if the whole limit is a shadow.
        record: called with its decisions; None if the limit is not watched.
    """

    plan: Plan | None
    _lock: Lock
    _report: ShadowReport
    record: Note | None = None

    @classmethod
    def of(cls, plan: Plan | None) -> Shadow:
        """A shadow without decisions so far."""
        return cls(plan, Lock(), ShadowReport())

    @property
    def report(self) -> ShadowReport:
        """The decisions so far."""
        return self._report

    def note(self, live: Decision, shadow: Decision, key: str, cost: int) -> None:
        """Count one hit, by the live decision and the decision of the shadow, and record that of the shadow."""
        if self.record is not None:
            self.record(shadow, key, cost, TRIAL)
        with self._lock:
            admitted, refused, stricter, looser = self._report
            if live.allowed:
                admitted, stricter = admitted + shadow.allowed, stricter + (not shadow.allowed)
            else:
                refused, looser = refused + (not shadow.allowed), looser + shadow.allowed
            self._report = ShadowReport(admitted, refused, stricter, looser)

    def around(self, calls: Calls, sync: bool) -> Calls:
        """The calls of a limit, wrapped so that they also count the decisions of the shadow."""
        store, account = calls.account.store, calls.account

        async def charge(key: str, cost: int) -> Decision:
            if self.plan is None:
                decision = await self._decided(calls, key, cost)
                self.note(decision, decision, key, cost)
                return ADMITTED
            both = self._charges(account, key, cost)
            live, *shadow = store.apply_sync(both) if sync or store.in_process else await store.apply(both)
            return self._noted(live, shadow, key, cost)

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
        """Charge the shadow rate after the live decision `live` was made together with others, and count both."""
        charges = self._charges(account, key, cost)[1:]
        store: Backend = account.store
        self._noted(live, store.apply_sync(charges) if sync else await store.apply(charges), key, cost)

    async def _decided(self, calls: Calls, key: str, cost: int) -> Decision:
        """The decision of a limit that is a shadow as a whole."""
        if cost > calls.account.plan.ceiling:
            return calls.account.plan.without_store(cost)
        answer = calls.charge(key, cost)
        return answer if isinstance(answer, Decision) else await answer

    def _charges(self, account: LimitAccount, key: str, cost: int) -> list[Charge]:
        """The charge of the live rate, and that of the shadow rate, unless the shadow can never admit the cost."""
        live = Charge(account.uid, account.plan, key, cost)
        if self.plan is None or cost > self.plan.ceiling:
            return [live]
        return [live, Charge(shadow_uid(account.uid), self.plan, key, cost)]

    def _noted(self, live: Decision, shadow: Sequence[Decision], key: str, cost: int) -> Decision:
        assert self.plan is not None  # noqa: S101 - for type checkers: a whole limit is noted elsewhere
        self.note(live, shadow[0] if shadow else self.plan.without_store(cost), key, cost)
        return live


def shadow_of(strategy: Strategy, whole: bool, rate: Rates | None) -> Shadow | None:
    """The shadow for the options `shadow` and `shadow_rate` of a limit; None if there is none.

    Raises:
        ConfigurationError: both options are given.
        RateError, TypeError: an option is invalid.
    """
    if not isinstance(whole, bool):
        raise TypeError(f"shadow is True or False, not {describe(whole)}: to try a second rate, use shadow_rate")
    if rate is None:
        return Shadow.of(None) if whole else None
    if whole:
        raise ConfigurationError(
            "a limit has one shadow: shadow=True for the whole limit, or shadow_rate for a second rate"
        )
    return Shadow.of(plan(strategy, parse_rates(rate)))


def shadow_uid(uid: str) -> str:
    """The uid under which the shadow rate of the limit `uid` counts."""
    return f"{uid}:shadow"
