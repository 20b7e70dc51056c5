"""The interface of all stores: a store decides on charges in one atomic step, on its own clock.

A store fetches a state, calls the kernel of the plan, and writes the new state. It decides nothing itself. Each
step has an async and a sync form. `prepare` returns the calls for one limit, which hits use.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from traffik import adapters
from traffik.backends import binding
from traffik.backends.postings import LimitAccount
from traffik.backends.probes import StoreProbe, probe_for
from traffik.backends.records import SharedRecord
from traffik.model.decisions import Decision
from traffik.model.errors import ConfigurationError
from traffik.model.keys import partition_key
from traffik.model.places import place_of_caller

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Self

    from traffik.backends.postings import Posted, Posting, Take, Taken
    from traffik.strategies import Plan

__all__ = ["Backend", "Calls", "Charge", "Done"]


# slots rather than a named tuple, since every hit reads these attributes
@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one limit to a store, prepared once.

    Prepared for sync code, each call returns its result. Prepared for async code, it may return an awaitable instead.

    Attributes:
        charge: decides on a local key and a cost from 1 to the plan's ceiling, and charges the cost if it is admitted.
        read: makes the same decision and changes nothing. With a cost of 0, the decision has the remaining quota and
            the wait for one unit.
        reset: forgets the usage of a local key.
        account: the limit in the store, for `Backend.take` and `Backend.post`.
    """

    charge: Callable[[str, int], Decision | Awaitable[Decision]]
    read: Callable[[str, int], Decision | Awaitable[Decision]]
    reset: Callable[[str], Awaitable[None] | None]
    account: LimitAccount


class Charge(NamedTuple):
    """One request to a store.

    Attributes:
        uid: the uid of the throttle.
        plan: the strategy, prepared for its rates.
        key: the scope and the identity, joined by `traffik.model.keys.local_key`.
        cost: units of quota, 1 to the plan's ceiling; with `read_only` also 0, for the remaining quota and the wait for
            one unit.
        read_only: whether to decide and change nothing.
    """

    uid: str
    plan: Plan
    key: str
    cost: int
    read_only: bool = False


class Done:
    """The result of a call that has already finished. It can be awaited, but need not be."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class Backend(ABC):
    """A store of quota. Open it while it is in use: as an application's lifespan, with ``async with``, or ``with``.

    Args:
        namespace: the first part of every key. Applications that share a store need different ones.
        changes_within: seconds above 0 within which the limits of this process follow a change of their rate that was
            made for all processes; None to not follow changes.
    """

    kind: ClassVar[str] = "custom"
    """Names its kind in metrics: a word that all stores of the class share."""

    in_process: ClassVar[bool] = False
    """Whether it is in the memory of this process, so its calls never wait."""

    def __init__(self, *, namespace: str = "traffik", changes_within: float | None = 2.0) -> None:
        if not isinstance(namespace, str):
            raise TypeError(f"a namespace is text, not {namespace!r} ({type(namespace).__name__})")
        self.namespace = namespace
        self.record: SharedRecord = SharedRecord(self, changes_within)
        self.place: str = place_of_caller()
        self.probe: StoreProbe | None = probe_for(self)
        binding.made(self)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError(
            f"{self!r} cannot be pickled: its connections and locks belong to this process. Pickle limits without a "
            f"backend, and open a store in each process"
        )

    @property
    def spared(self) -> bool | None:
        """Whether its breaker is open, so that it is not called; None if it has no breaker."""
        return None

    @property
    def may_answer_unavailable(self) -> bool:
        """Whether it may refuse because the server of the store does not answer, which is not the client's fault."""
        return False

    @abstractmethod
    async def apply(self, charges: Sequence[Charge]) -> list[Decision]:
        """Decide on `charges` independently, in one atomic step. Returns their decisions, in order."""

    @abstractmethod
    def apply_sync(self, charges: Sequence[Charge]) -> list[Decision]:
        """`apply` for sync code."""

    def prepare(self, uid: str, plan: Plan, *, sync: bool) -> Calls:
        """The calls for one limit. Override this if they can be faster than `apply` with one charge.

        Args:
            uid: the uid of the throttle.
            plan: the strategy, prepared for its rates.
            sync: whether the calls are for sync code.
        """
        if sync:
            apply_sync = self.apply_sync
            return Calls(
                lambda key, cost: apply_sync((Charge(uid, plan, key, cost),))[0],
                lambda key, cost: apply_sync((Charge(uid, plan, key, cost, read_only=True),))[0],
                lambda key: self.reset_sync(uid, key),
                self.account(uid, plan),
            )

        async def charge(key: str, cost: int) -> Decision:
            return (await self.apply((Charge(uid, plan, key, cost),)))[0]

        async def read(key: str, cost: int) -> Decision:
            return (await self.apply((Charge(uid, plan, key, cost, read_only=True),)))[0]

        return Calls(charge, read, lambda key: self.reset(uid, key), self.account(uid, plan))

    def account(self, uid: str, plan: Plan) -> LimitAccount:
        """One limit in this store, for `take` and `post`."""
        return LimitAccount(self, uid, plan)

    def take(
        self, takes: Sequence[Take], kind: int, *, sync: bool, back: Sequence[Posting] = ()
    ) -> Taken | Awaitable[Taken]:
        """Take units of several accounts in one atomic step, all or nothing; see `traffik.backends.postings`.

        Args:
            takes: accounts of this store, keys and units.
            kind: `TAKE`, `HOLD` or `TRY`.
            sync: whether the caller is sync code. If not, the result may be an awaitable.
            back: postings to settle first, in the same step, whether the takes are admitted or not.

        Raises:
            ConfigurationError: this store has no such method.
        """
        raise self._cannot("take")

    def post(self, postings: Sequence[Posting], *, sync: bool) -> list[Posted] | Awaitable[list[Posted]]:
        """Carry out postings in one atomic step. The arguments and errors are those of `take`."""
        raise self._cannot("post")

    def _cannot(self, method: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self!r} supports only hit, check, stat and reset: for several limits in one decision, reservations, "
            f"refunds and slots it needs a method {method}(…), see traffik.backends.postings"
        )

    def partition_key(self, uid: str, key: str) -> str:
        """The key in the store for a local key of the throttle `uid`."""
        return partition_key(self.namespace, uid, key)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None, None]:
        """Open the store while `app` runs, and bind it to `app` and to the applications mounted in it.

        Use it as ``FastAPI(lifespan=backend.lifespan)``, or in your own lifespan as
        ``async with backend.lifespan(app):``.

        Raises:
            ConfigurationError: `app` uses a throttle in a way that cannot work.
        """
        async with self:
            adapters.check_app(app)
            with binding.bound(self, app, adapters.subapps_of(app)):
                yield

    async def __aenter__(self) -> Self:
        adapters.load_adapters()
        if binding.opened(self):
            try:
                await self.open()
            except BaseException:
                binding.closed(self)
                raise
            self.record.follow()
            if self.record.pending:
                import anyio.to_thread  # here, since it is slow to import

                await anyio.to_thread.run_sync(self.record.wait)
        return self

    async def __aexit__(self, *error: object) -> None:
        if binding.closed(self):
            await self.close()

    def __enter__(self) -> Self:
        adapters.load_adapters()
        if binding.opened(self):
            try:
                self.open_sync()
            except BaseException:
                binding.closed(self)
                raise
            self.record.follow()
            self.record.wait()
        return self

    def __exit__(self, *error: object) -> None:
        if binding.closed(self):
            self.close_sync()

    @abstractmethod
    def open(self) -> Awaitable[None]:
        """Set up the store. If openings are nested, only the first calls this."""

    @abstractmethod
    def open_sync(self) -> None:
        """`open` for sync code."""

    @abstractmethod
    def close(self) -> Awaitable[None]:
        """Release the resources of the store. If openings are nested, only the last closing calls this.

        A closed store can be opened again.
        """

    @abstractmethod
    def close_sync(self) -> None:
        """`close` for sync code."""

    @abstractmethod
    def reset(self, uid: str | None = None, key: str | None = None) -> Awaitable[None]:
        """Forget the usage of all throttles, of the throttle `uid`, or of one local key of that throttle."""

    @abstractmethod
    def reset_sync(self, uid: str | None = None, key: str | None = None) -> None:
        """`reset` for sync code."""
