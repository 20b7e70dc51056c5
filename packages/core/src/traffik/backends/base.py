"""The one seam to stores: charges in, decisions out, in one atomic step, on the store's own clock.

A store fetches the state and keeps what the plan's kernel answers; it decides nothing itself. Each offers an async and
a sync form of the same step. `prepare` returns the calls of one limit, which is what a hit uses.
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
from traffik.backends.probes import probe_for
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


# Slots rather than a named tuple: attributes that every hit reads.
@dataclass(frozen=True, slots=True)
class Calls:
    """The calls that one limit makes to a store, prepared once.

    Prepared for sync code, each call returns its result. Prepared for async code, it may return an awaitable instead.

    Attributes:
        charge: decides on a local key and a cost from 1 to the plan's ceiling, and takes the cost if it is admitted.
        read: makes the same decision and changes nothing. A cost of 0 asks how much is left and how long the wait for
            one unit is.
        reset: forgets the quota used under a local key.
        account: the limit in the store, for `Backend.take` and `Backend.post`.
    """

    charge: Callable[[str, int], Decision | Awaitable[Decision]]
    read: Callable[[str, int], Decision | Awaitable[Decision]]
    reset: Callable[[str], Awaitable[None] | None]
    account: LimitAccount


class Charge(NamedTuple):
    """One request to a store.

    Attributes:
        uid: the throttle's.
        plan: the strategy, made ready for its rates.
        key: scope and identity, as `traffik.model.keys.local_key` joins them.
        cost: units of quota, 1 to the plan's ceiling; with `read_only` also 0, which asks what is left and how long
            the wait for one unit is.
        read_only: decide, but change nothing.
    """

    uid: str
    plan: Plan
    key: str
    cost: int
    read_only: bool = False


class Done:
    """The answer of a call that is over already; may be awaited, so that code reads the same with every store."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class Backend(ABC):
    """A store of quota. Open it for as long as it is used: as an application's lifespan, `async with`, or `with`.

    Args:
        namespace: the first part of every key, to keep applications apart that share a store.
    """

    kind: ClassVar[str] = "custom"
    """Names its kind in metrics: a word that all stores of the class share."""

    in_process: ClassVar[bool] = False
    """Whether it is the memory of this process: its calls never wait."""

    def __init__(self, *, namespace: str = "traffik") -> None:
        if not isinstance(namespace, str):
            raise TypeError(f"a namespace is text, not {namespace!r} ({type(namespace).__name__})")
        self.namespace = namespace
        self.place = place_of_caller()
        self.probe = probe_for(self)
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
        """Whether it may answer that nobody can decide, since it is away: a refusal that is no fault of the client."""
        return False

    @abstractmethod
    async def apply(self, charges: Sequence[Charge]) -> list[Decision]:
        """Decide `charges`, each by itself, as one atomic step; a decision for each, in order."""

    @abstractmethod
    def apply_sync(self, charges: Sequence[Charge]) -> list[Decision]:
        """`apply` for code that cannot await."""

    def prepare(self, uid: str, plan: Plan, *, sync: bool) -> Calls:
        """The calls for one limit. Override it where they can be faster than one charge handed to `apply`.

        Args:
            uid: the throttle's.
            plan: the strategy, made ready for its rates.
            sync: whether the calls are for code that cannot await.
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
        """Take units of several accounts as one atomic step, all or not at all; see `traffik.backends.postings`.

        Args:
            takes: accounts of this store, keys and units.
            kind: `TAKE`, `HOLD` or `TRY`.
            sync: whether the answer is for code that cannot await; if not, it may come as an awaitable.
            back: settled first, in the same step, whether the takes are admitted or not.

        Raises:
            ConfigurationError: this store cannot do it.
        """
        raise self._cannot("take")

    def post(self, postings: Sequence[Posting], *, sync: bool) -> list[Posted] | Awaitable[list[Posted]]:
        """Settle, take what is left, or foresee, as one atomic step. Arguments and errors as of `take`."""
        raise self._cannot("post")

    def _cannot(self, method: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self!r} can only hit, check, stat and reset: for several limits in one decision, reservations, refunds "
            f"and slots it needs a method {method}(…), see traffik.backends.postings"
        )

    def partition_key(self, uid: str, key: str) -> str:
        """The whole key under which a local one is kept."""
        return partition_key(self.namespace, uid, key)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None, None]:
        """Open the store for as long as `app` runs, and bind it to `app` and to the applications mounted in it.

        ``FastAPI(lifespan=backend.lifespan)``; or inside a lifespan of your own, ``async with backend.lifespan(app):``.

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
        return self

    def __exit__(self, *error: object) -> None:
        if binding.closed(self):
            self.close_sync()

    @abstractmethod
    def open(self) -> Awaitable[None]:
        """Get ready; called by the first of nested openings."""

    @abstractmethod
    def open_sync(self) -> None:
        """`open` for code that cannot await."""

    @abstractmethod
    def close(self) -> Awaitable[None]:
        """Give back what opening took; called by the last of nested closings. Open again to use it again."""

    @abstractmethod
    def close_sync(self) -> None:
        """`close` for code that cannot await."""

    @abstractmethod
    def reset(self, uid: str | None = None, key: str | None = None) -> Awaitable[None]:
        """Forget the quota used: of everything, of one throttle's uid, or of one local key of it."""

    @abstractmethod
    def reset_sync(self, uid: str | None = None, key: str | None = None) -> None:
        """`reset` for code that cannot await."""
