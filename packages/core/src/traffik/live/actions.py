"""What an operator may do on the page: disable a limit, reset or ban a client. Each is logged and kept in a list.

An action holds in all workers that share the store: it is put on their board as an order, which each follows.
"""

from __future__ import annotations

import glob
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from traffik.events.audits import AuditEvent, record_audit
from traffik.identities.proxies import NETWORK_PREFIX, client_identity
from traffik.identities.trust import current
from traffik.limits import groups, uids
from traffik.limits.bans import MOST_BANS
from traffik.model.keys import local_key, without_scope

if TYPE_CHECKING:
    from traffik.limits.bans import Bans
    from traffik.live.fleets import Fleet
    from traffik.live.monitors import Monitor

__all__ = ["MOST_SECONDS", "Actions"]

MOST_SECONDS: Final = 31 * 86_400
"""The longest ban."""

_KEPT: Final = 20

_Answer = tuple[int, dict[str, Any]]


class Actions:
    """The actions of one page.

    Args:
        bans: the bans of the page.
        monitor: knows the clients that were refused.
        fleet: carries the orders to the other workers.
    """

    def __init__(self, bans: Bans, monitor: Monitor, fleet: Fleet) -> None:
        self._bans = bans
        self._monitor = monitor
        self._fleet = fleet
        self._followed: dict[str, list[Any]] = {}
        self._began = time.time()
        self._audit: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def audit(self) -> list[dict[str, Any]]:
        """The latest actions, the newest first."""
        return [*reversed(self._audit)]

    def bans(self, now: float) -> list[dict[str, Any]]:
        """The bans in force."""
        return [
            {"throttle": uid, "client": mark, "left": int(end - now)}
            for uid, ends in self._bans
            for mark, end in sorted(ends.items())
            if end > now
        ]

    async def carry_out(self, body: bytes, by: str, *, sync: bool) -> _Answer:
        """Carry out an action, given as JSON. Returns the HTTP status and the response.

        Args:
            body: the JSON. It names a client by `client`, its hash, or by `identity`, as the throttle identifies it.
            by: who does it.
            sync: for sync code.
        """
        try:
            asked = json.loads(body)
            action, uid = asked["action"], asked["throttle"]
            client, identity, seconds = (asked.get(name, "") for name in ("client", "identity", "seconds"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return 400, {"problem": "an action is JSON with action, throttle, and for clients client and seconds"}
        if not all(isinstance(each, str) for each in (uid, client, identity)) or uids.holder(uid) is None:
            return 404, {"problem": f"there is no throttle {uid!r}"}
        key = _key_of(identity) if identity else None
        client = client if key is None else self._bans.mark_of(key)
        seconds = seconds or 0
        match action:
            case "disable" | "enable":
                self._switch(uid, on=action == "enable")
            case "ban" if type(seconds) is int and 0 < seconds <= MOST_SECONDS and client:
                self._order_ban(uid, client, time.time() + seconds)
            case "lift" if client:
                self._order_ban(uid, client, 0)
            case "reset" if client:
                if not await self._reset(uid, client, key, sync=sync):
                    return 404, {"problem": "this worker has not seen that client lately: give its identity"}
            case _:
                return 400, {"problem": f"{action!r} is not possible with {seconds!r} seconds and client {client!r}"}
        self._note(action, uid, client, seconds, by)
        return 200, {"done": action}

    def follow(self, orders: Mapping[str, Any]) -> None:
        """Follow the orders of all workers, as far as they have changed."""
        for uid, order in orders.get("switches", {}).items():
            on, when = order
            if self._followed.get(uid) != order:
                self._followed[uid] = order
                if not on or when >= self._began:  # an old order must not enable what this process disabled
                    _switch_here(uid, on=on)
        self._bans.replace(orders.get("bans", {}))

    def _switch(self, uid: str, *, on: bool) -> None:
        order = [on, time.time()]
        self._fleet.order(lambda orders: orders.setdefault("switches", {}).update({uid: order}))
        self.follow(self._fleet.orders)

    def _order_ban(self, uid: str, mark: str, end: float) -> None:
        def change(orders: dict[str, Any]) -> None:
            ends = orders.setdefault("bans", {}).setdefault(uid, {})
            ends[mark] = end
            for old in [each for each, until in ends.items() if until <= time.time()]:
                del ends[old]
            while len(ends) > MOST_BANS:
                del ends[min(ends, key=lambda each: ends[each])]

        self._fleet.order(change)
        self.follow(self._fleet.orders)

    async def _reset(self, uid: str, mark: str, key: str | None, *, sync: bool) -> bool:
        limits = [limit for limit in uids.held() if limit.uid == uid]
        keys = {*self._monitor.key_of(uid, mark, self._bans.mark_of, time.time())}
        if key is not None:
            keys |= {key, *(local_key(limit.scope, without_scope(key)) for limit in limits)}
        stores = {limit._store for limit in limits if limit._store is not None}
        stores |= {store for limit in limits for store, _, _ in limit._calls}
        for store in stores if keys else ():
            for each in keys:
                if sync:
                    store.reset_sync(uid, each)
                else:
                    await store.reset(uid, each)
        return bool(keys and stores)

    def _note(self, action: str, uid: str, client: str, seconds: int, by: str) -> None:
        now = time.time()
        event = AuditEvent(action, uid, client, seconds, int(now * 1_000_000), by)
        noted = {"at": now, "action": action, "throttle": uid, "client": client, "seconds": seconds, "by": by}
        self._audit.append(noted)
        record_audit(event)


def _key_of(identity: str) -> str:
    """The local key of an identity. An address is grouped as those of clients are."""
    setting = current.proxies
    return local_key(None, client_identity(identity, NETWORK_PREFIX if setting is None else setting.ipv6_prefix))


def _switch_here(uid: str, *, on: bool) -> None:
    """Enable or disable the limits with a uid, also those made later."""
    named: Callable[[], None] = getattr(groups.group(glob.escape(uid)), "enable" if on else "disable")
    named()
