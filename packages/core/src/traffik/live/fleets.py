"""The workers that share a store, and the data that they exchange through it. Never in the path of a hit.

Each worker writes its report under a key, once a second. A second key, the board, holds what concerns all: which
workers there are, the orders of operators, and the secret of the hashes. Both are kept in the store as the state of a
strategy, which is read and changed in one atomic step, so every store can do this.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from traffik.backends.base import Charge
from traffik.model.decisions import Decision
from traffik.model.errors import TraffikError
from traffik.model.keys import seal
from traffik.model.rates import Rate
from traffik.strategies import Transition, plan

if TYPE_CHECKING:
    from traffik.backends.base import Backend
    from traffik.strategies import State

__all__ = ["UID", "Fleet"]

UID: Final = "traffik:live"
"""The uid under which the workers keep their reports."""

_BOARD: Final = "board"
_ALIVE: Final = 5.0
"""Seconds after its last report for which a worker is counted."""

_KEEP: Final = Rate(1, 60_000_000)
_VIEWED: Final = 10.0
"""Seconds after a request of a page for which the reports of others are read."""


class Fleet:
    """This worker among those that share a store.

    Args:
        secret: of the hashes of clients; None to take that of the board.

    Attributes:
        seal: the secret, prepared for `traffik.model.keys.sealed`.
        orders: what operators have ordered: ``{"off": {uid: …}, "bans": …}``; see `traffik.live.actions`.
        shared: whether the workers could exchange their reports in the last second.
        problem: why they could not; None if they could, or if there is no shared store.
    """

    def __init__(self, secret: bytes | str | None) -> None:
        self._secret = secret
        self.seal: bytes = seal(secrets.token_bytes(32) if secret is None else secret)
        self.after_fork()

    def after_fork(self) -> None:
        """Become a new worker, which has exchanged nothing yet."""
        self.id: str = uuid4().hex
        self.orders: dict[str, Any] = {}
        self.shared: bool = False
        self.problem: str | None = None
        self._changes: list[Callable[[dict[str, Any]], None]] = []
        self._own: dict[str, Any] = {"at": 0.0, "series": [], "throttles": {}, "clients": []}
        self._others: list[dict[str, Any]] = []
        self._viewed = 0.0

    def order(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the orders: here at once, and on the board with the next exchange."""
        change(self.orders)
        self._changes.append(change)

    def is_unread(self, now: float) -> bool:
        """Whether the reports of the others are not being read, since no page was open lately. From now on one is."""
        unread = now - self._viewed >= _VIEWED
        self._viewed = now
        return unread

    def reports(self, now: float) -> list[dict[str, Any]]:
        """The latest reports of all workers, that of this one first."""
        self._viewed = now
        return [self._own, *(each for each in self._others if each["at"] > now - _ALIVE)]

    def exchange(self, store: Backend | None, report: Callable[[], dict[str, Any]], now: float) -> None:
        """Write the report of this worker, and read those of the others while the page is open.

        Args:
            store: the shared store; None if there is none.
            report: makes the report. Called once, when the secret is known.
            now: seconds since 1970.
        """
        if store is None:
            self._own = report()
            self.shared, self.problem, self._others = False, None, []
            self._changes.clear()
            return
        try:
            board = self._write_board(store, now)
            own = self._own = report()
            _swap(store, self.id, lambda _: own)
            if now - self._viewed < _VIEWED:
                alive = [each for each, seen in board["workers"].items() if seen > now - _ALIVE and each != self.id]
                self._others = [found for each in sorted(alive) if (found := _swap(store, each)) is not None]
        except (TraffikError, OSError) as error:
            self.shared, self.problem, self._others = False, str(error), []
            self._own = report()
        else:
            self.shared, self.problem = True, None

    def _write_board(self, store: Backend, now: float) -> dict[str, Any]:
        """Read the board, and write to it if this worker has something to change."""
        board: dict[str, Any] | None = _swap(store, _BOARD)
        if board is None or self._changes or board["workers"].get(self.id, 0) < now - 1:
            changes, self._changes = self._changes, []
            try:
                board = _swap(store, _BOARD, lambda before: self._changed(before, changes, now))
            except BaseException:
                self._changes = [*changes, *self._changes]
                raise
        if board is None:
            raise TraffikError("the store keeps nothing")
        self.orders = board["orders"]
        if self._secret is None:
            self.seal = seal(board["secret"])
        return board

    def _changed(self, board: Any, changes: list[Callable[[dict[str, Any]], None]], now: float) -> dict[str, Any]:
        """The board after this worker has signed it, and made its changes."""
        before: dict[str, Any] = board or {"secret": secrets.token_hex(32), "orders": self.orders, "workers": {}}
        orders = json.loads(json.dumps(before["orders"]))
        for change in changes:
            change(orders)
        alive = {each: seen for each, seen in before["workers"].items() if seen > now - _ALIVE}
        return {"secret": before["secret"], "orders": orders, "workers": {**alive, self.id: now}}


@dataclass(frozen=True)
class _Note:
    """A strategy whose state is a text: `change` gets the old value and returns the new one."""

    change: Callable[[Any], Any]

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        value = self.change(None if state is None else json.loads(state[0]))
        kept = None if value is None else (json.dumps(value, separators=(",", ":")),)
        return Transition(Decision(True, 1, 1), kept, rate.period)


def _swap(store: Backend, key: str, change: Callable[[Any], Any] | None = None) -> Any:
    """The value of a key, after `change` if that is given; None if there is none.

    Raises:
        TraffikError: the store does not answer.
    """
    seen: list[Any] = [None]

    def step(before: Any) -> Any:
        seen[0] = before if change is None else change(before)
        return None if change is None else seen[0]

    charge = Charge(UID, plan(_Note(step), (_KEEP,)), key, 1, read_only=change is None)
    (decision,) = store.apply_sync((charge,))
    if decision.degraded is not None:
        raise TraffikError(f"the store does not answer, so only this worker is shown ({decision.degraded})")
    return seen[0]
