"""`LivePage`: the page, its data and its actions, for any framework that mounts it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs
from weakref import WeakSet

from traffik.backends import binding
from traffik.limits import uids
from traffik.limits.bans import Bans
from traffik.live.access import Access, same_origin
from traffik.live.actions import Actions
from traffik.live.documents import form, page
from traffik.live.fleets import Fleet
from traffik.live.messages import MOST_BYTES, LiveResponse, json_response
from traffik.live.monitors import Monitor
from traffik.live.reports import add_reports, describe_limits, describe_notices, describe_store
from traffik.live.ticking import Ticker
from traffik.model.keys import check_pattern
from traffik.notices import said

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from traffik.backends.base import Backend
    from traffik.live.access import Authorize, Grant, Permission, WaitFor
    from traffik.live.messages import LiveRequest

__all__ = ["LivePage"]

_STREAM: Final = 15
"""Seconds after which a stream ends, and the browser asks again; so a server that stops need not wait for longer."""

_LIMITS: Final = 1_000
"""The most limits that are shown, with those that have decided."""

_STREAMS: Final = 64
"""Streams at a time. Beyond these, a page asks for the data every two seconds."""


class LivePage:
    """A page about the limits of this process, and of all workers that share its store.

    Mount it with ``traffik_starlette.live``, ``traffik_django.live`` or ``traffik_aiohttp.live``. It counts from the
    moment it is made, until `close`.

    Args:
        token: 16 characters or more. A browser asks for it; programs send it as ``Authorization: Bearer``. Its holder
            can read.
        act_token: another token, whose holder can also disable throttles, and reset and ban clients.
        authorize: a function of the framework's request, sync or async, that returns None, ``"read"`` or ``"act"``, or
            one of these and the name of the person, which audit events show. It is called if there is no valid token.
        limit: a pattern of uids, as for `traffik.group`: the limits to show.
        minutes: how far back the page goes, 1 to 60.
        show_keys: whether the page shows the keys of clients, such as their addresses; if not, a keyed hash.
        secret: 16 bytes or more for these hashes, the same in all workers; if None, workers that share a store share
            a random one.
        store: the store through which workers share their counts; if None, the only open one. Memory is not shared.

    Raises:
        ConfigurationError: neither a token nor `authorize` is given, or a token or the secret is too short.
        TypeError, ValueError: another argument is invalid.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        act_token: str | None = None,
        authorize: Authorize | None = None,
        limit: str = "*",
        minutes: int = 10,
        show_keys: bool = False,
        secret: bytes | str | None = None,
        store: Backend | None = None,
    ) -> None:
        if type(minutes) is not int or not 1 <= minutes <= 60:
            raise ValueError(f"minutes are an integer from 1 to 60, not {minutes!r}")
        self._access = Access(token, act_token, authorize)
        self._pattern = check_pattern(limit)
        self._minutes = minutes
        self._show_keys = show_keys
        self._store = store
        self._monitor = Monitor(self._pattern, minutes)
        self._fleet = Fleet(secret)
        self._bans = Bans(self._fleet.seal)
        self._actions = Actions(self._bans, self._monitor, self._fleet)
        self._ticker = Ticker(self.tick)
        self._streams = 0
        self._monitor.start(self._ticker.start)
        _pages.add(self)

    def tick(self) -> None:
        """Take the latest counts, and exchange them with the other workers. A thread calls this once a second."""
        now = time.time()
        self._monitor.collect(now)

        def report() -> dict[str, Any]:
            self._bans.seal = self._fleet.seal  # which the board may have changed
            return self._monitor.report(now, self._bans.mark_of, self._show_keys)

        self._fleet.exchange(self._shared_store(), report, now)
        self._actions.follow(self._fleet.orders)

    def close(self) -> None:
        """Count no more, and lift the bans of the page."""
        self._monitor.stop()
        self._ticker.close()
        self._bans.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def answer(self, request: LiveRequest, wait: WaitFor | None = None) -> LiveResponse:
        """The response to a request. Adapters call this.

        Args:
            request: the request.
            wait: in sync code, how to wait for an async `authorize`. The coroutine never suspends then.
        """
        self._ticker.start()
        if request.method == "POST" and request.path == "/login" and self._access.has_form:
            return self._log_in(request)
        grant = await self._access.grant(request, wait)
        permission = grant.permission
        if permission is None:
            return self._closed(request)
        match request.method, request.path:
            case (("GET" | "HEAD"), "/"):
                return page(*self._access.csrf_of(request)[1])
            case (("GET" | "HEAD"), "/state"):
                csrf, fields = self._access.csrf_of(request)
                await self._read_others(sync=wait is not None)
                return json_response(200, self.state(permission, csrf), *fields)
            case "GET", "/events":
                return self._stream(request, permission)
            case "POST", "/actions":
                return await self._act(request, grant, sync=wait is not None)
            case "POST", "/logout" if self._access.is_own_request(request):
                return LiveResponse.of(204, "text/plain", b"", self._access.session_cookie("", request))
            case _:
                return json_response(404, {"problem": "there is nothing here"})

    def state(self, permission: Permission = "read", csrf: str = "") -> dict[str, Any]:
        """What the page shows, as values for JSON."""
        now = time.time()
        summed = add_reports(self._fleet.reports(now), self._minutes * 60, now)
        shared = self._shared_store()
        limits = [limit for limit in uids.held() if self._monitor.watches(limit.uid)][:_LIMITS]
        stores = sorted(binding.stores_made(), key=lambda store: store.kind)
        return {
            "at": now,
            "minutes": self._minutes,
            "workers": summed["workers"],
            "shared": self._fleet.shared,
            "problem": self._fleet.problem,
            "may_act": permission == "act",
            "has_form": self._access.has_form,
            "csrf": csrf,
            "series": summed["series"],
            "throttles": describe_limits(limits, summed["counts"]),
            "clients": summed["clients"],
            "bans": self._actions.bans(now),
            "stores": [describe_store(store, store is shared) for store in stores],
            "notices": describe_notices(said()),
            "audit": self._actions.audit(),
        }

    async def _read_others(self, *, sync: bool) -> None:
        """Wait for the reports of the other workers if this request is the first one after a while."""
        if not self._fleet.is_unread(time.time()) or self._shared_store() is None:
            return
        if sync:
            self._ticker.catch_up()
        else:
            from anyio import to_thread

            await to_thread.run_sync(self._ticker.catch_up)

    def _shared_store(self) -> Backend | None:
        store = binding.open_one() if self._store is None else self._store
        return None if store is None or store.in_process or not binding.is_open(store) else store

    def _log_in(self, request: LiveRequest) -> LiveResponse:
        fields = parse_qs(request.body[:MOST_BYTES].decode("utf-8", "replace"))
        session = self._access.session_for(fields.get("token", [""])[0])
        if session is None or not same_origin(request):
            return form(403, "That token is not valid.")
        cookie = self._access.session_cookie(session, request)
        return LiveResponse.of(303, "text/plain", b"", ("Location", "./"), cookie)

    def _closed(self, request: LiveRequest) -> LiveResponse:
        if request.path == "/" and self._access.has_form:
            return form(401)
        status = 401 if self._access.has_form else 403
        fields = [("WWW-Authenticate", "Bearer")] if status == 401 else []
        return json_response(status, {"problem": "you may not read this page"}, *fields)

    async def _act(self, request: LiveRequest, grant: Grant, *, sync: bool) -> LiveResponse:
        if not self._access.is_own_request(request):
            return json_response(403, {"problem": "this request does not come from the page: reload it"})
        if grant.permission != "act":
            return json_response(403, {"problem": "you may read this page, but not act"})
        if len(request.body) > MOST_BYTES:
            return json_response(413, {"problem": "the request is too long"})
        status, answer = await self._actions.carry_out(request.body, grant.by, sync=sync)
        self._ticker.hurry()
        return json_response(status, answer)

    def _stream(self, request: LiveRequest, permission: Permission) -> LiveResponse:
        if not request.streams or self._streams >= _STREAMS:
            return LiveResponse.of(204, "text/plain", b"")  # a browser does not ask again
        csrf, fields = self._access.csrf_of(request)
        more = (*fields, ("X-Accel-Buffering", "no"))
        return LiveResponse.of(200, "text/event-stream", self._events(permission, csrf), *more)

    async def _events(self, permission: Permission, csrf: str) -> AsyncIterator[bytes]:
        import anyio

        self._streams += 1
        try:
            yield b"retry: 500\n\n"
            for _ in range(_STREAM):
                yield b"data: " + json.dumps(self.state(permission, csrf)).encode() + b"\n\n"
                await anyio.sleep(1)
        finally:
            self._streams -= 1

    def _after_fork(self) -> None:
        self._monitor.after_fork()
        self._fleet.after_fork()
        self._ticker.reset()
        self._streams = 0


_pages: Final[WeakSet[LivePage]] = WeakSet()


def _after_fork_in_child() -> None:
    for each in tuple(_pages):
        each._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
