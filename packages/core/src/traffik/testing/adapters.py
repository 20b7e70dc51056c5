"""The contract of adapters: tests for your own adapter."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final

import anyio
import pytest

from traffik.adapters import Adapter, adapter_of, socket_adapter_of
from traffik.backends import binding
from traffik.backends.base import Backend
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits.floods import MAX_PAUSE, FloodPolicy
from traffik.model.decisions import Decision
from traffik.model.errors import ConfigurationError
from traffik.model.rates import Rate
from traffik.responses.headers import policies
from traffik.responses.rejections import Rejection, Throttled, reject
from traffik.testing.clock import VirtualClock
from traffik.throttles import HTTPThrottle, Throttle, WebSocketThrottle, get_wait, is_throttled

__all__ = ["AdapterContract"]

_RATE: Final = Rate(1, 60_000_000)


class AdapterContract:
    """The contract of adapters. Subclass it under a name that begins with ``Test``, with methods that make connections.

    Attributes:
        adapter: the adapter of HTTP connections, installed or registered before the tests run.
        websocket_adapter: the adapter of WebSockets; None if there are none.
    """

    adapter: ClassVar[Adapter]
    websocket_adapter: ClassVar[Adapter | None] = None

    def http_connection(
        self,
        peer: str | None = "203.0.113.7",
        app: object = None,
        method: str = "GET",
        path: str = "/",
        headers: Sequence[tuple[str, str]] = (),
    ) -> Any:
        """A new request from `peer` (None: without an address) that arrived in `app` (None: in any).

        `path` is decoded; the names of `headers` are in lower case, and each comes once.
        """
        raise NotImplementedError

    def another_object_for(self, connection: Any) -> Any:
        """Another object for the same connection, such as the one that a framework makes for a middleware."""
        raise NotImplementedError

    def websocket_connection(self, messages: list[Any]) -> Any:
        """A new, accepted WebSocket. Each message sent to it is decoded from JSON and appended to `messages`.

        It can be closed, which appends nothing.
        """
        raise NotImplementedError

    def make_app(self) -> object:
        """An application that can serve a connection."""
        return object()

    def test_it_is_found_by_the_class_of_a_connection(self) -> None:
        assert adapter_of(self.http_connection()) is self.adapter

    def test_it_is_an_adapter_of_http(self) -> None:
        assert self.adapter.websocket is False

    def test_websockets_are_accepted_or_not(self) -> None:
        connection, _ = self._websocket()
        adapter = socket_adapter_of(connection)
        assert adapter is not None
        assert adapter.accepted(connection) is True

    def test_it_asks_for_connections_by_their_class(self) -> None:
        assert self.adapter.injects is None or isinstance(self.http_connection(), self.adapter.injects)

    @pytest.mark.parametrize("peer", ["203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7"])
    def test_it_hands_over_the_peer_as_it_is(self, peer: str) -> None:
        assert self.adapter.peer(self.http_connection(peer=peer)) == peer

    def test_a_connection_without_an_address_has_no_peer(self) -> None:
        assert self.adapter.peer(self.http_connection(peer=None)) is None

    def test_it_hands_over_the_lines_of_a_header(self) -> None:
        connection = self.http_connection(headers=[("x-api-key", "a"), ("forwarded", "for=192.0.2.1, for=_b")])
        wanted = ("x-api-key", "forwarded", "x-other")
        lines = [list(self.adapter.headers(connection, name)) for name in wanted]
        assert lines == [["a"], ["for=192.0.2.1, for=_b"], []]

    @pytest.mark.parametrize("method", ["GET", "POST", "PURGE"])
    def test_it_hands_over_the_method(self, method: str) -> None:
        assert self.adapter.method(self.http_connection(method=method)) == method

    @pytest.mark.parametrize("path", ["/", "/items/7", "/a b/é", "/twice//"])
    def test_it_hands_over_the_path_decoded(self, path: str) -> None:
        assert self.adapter.path(self.http_connection(path=path)) == path

    def test_it_hands_over_a_route_or_says_that_it_knows_none(self) -> None:
        with suppress(ConfigurationError):
            route = self.adapter.route(self.http_connection(path="/nowhere/at/all"))
            assert route is None or isinstance(route, str)

    def test_it_hands_over_the_application(self) -> None:
        app = self.make_app()
        assert self.adapter.app(self.http_connection(app=app)) is app

    def test_an_object_that_is_no_application_has_none_mounted(self) -> None:
        assert list(self.adapter.subapps(None)) == []
        assert list(self.adapter.subapps(object())) == []

    def test_a_connection_remembers(self) -> None:
        connection, throttle, decision = self.http_connection(), _throttle(InMemoryBackend()), _refusal()
        self.adapter.memory(connection)[throttle] = decision
        assert self.adapter.memory(connection) == {throttle: decision}

    def test_every_object_of_a_connection_has_one_memory(self) -> None:
        connection = self.http_connection()
        memory = self.adapter.memory(connection)
        assert self.adapter.memory(self.another_object_for(connection)) is memory

    def test_an_object_made_first_has_the_memory_too(self) -> None:
        connection = self.http_connection()
        another = self.another_object_for(connection)
        assert self.adapter.memory(connection) is self.adapter.memory(another)

    def test_connections_have_memories_of_their_own(self) -> None:
        one, two = self.http_connection(), self.http_connection()
        assert self.adapter.memory(one) is not self.adapter.memory(two)

    def test_a_rejection_is_raised_as_throttled(self) -> None:
        rejection = _rejection()
        with pytest.raises(Throttled) as caught:
            _sent(self.adapter, self.http_connection(), rejection)
        assert caught.value.rejection is rejection
        assert caught.value.decision is rejection.decision

    @pytest.mark.anyio
    async def test_a_hit_returns_the_very_same_connection(self) -> None:
        connection = self.http_connection()
        assert await _throttle(InMemoryBackend()).hit(connection) is connection

    def test_a_hit_of_sync_code_does_too(self) -> None:
        connection = self.http_connection()
        assert _throttle(InMemoryBackend()).sync.hit(connection) is connection

    @pytest.mark.anyio
    async def test_a_refused_hit_is_raised(self) -> None:
        throttle = _throttle(InMemoryBackend())
        await throttle.hit(self.http_connection())
        with pytest.raises(Throttled):
            await throttle.hit(self.http_connection())

    def test_clients_have_quotas_of_their_own(self) -> None:
        throttle = _throttle(InMemoryBackend())
        for peer in ("203.0.113.7", "203.0.113.8"):
            throttle.sync.hit(self.http_connection(peer=peer))
            with pytest.raises(Throttled):
                throttle.sync.hit(self.http_connection(peer=peer))

    def test_a_connection_tells_of_its_latest_hit(self) -> None:
        connection, throttle = self.http_connection(), _throttle(InMemoryBackend())
        assert (is_throttled(connection), get_wait(connection)) == (False, 0)
        throttle.sync.hit(connection)
        assert (is_throttled(connection), get_wait(connection)) == (False, 0)
        with pytest.raises(Throttled) as caught:
            throttle.sync.hit(connection)
        assert (is_throttled(connection), get_wait(connection)) == (True, caught.value.decision.wait_ms)
        assert is_throttled(self.another_object_for(connection), throttle)
        throttle.sync.hit(connection, 0)
        assert (is_throttled(connection), get_wait(connection)) == (False, 0)

    def test_the_store_of_its_application_is_used(self) -> None:
        app, own, other = self.make_app(), InMemoryBackend(), InMemoryBackend()
        with own, other, binding.bound(own, app, ()):
            _throttle(None).sync.hit(self.http_connection(app=app))
            assert (own.keys, other.keys) == (1, 0)

    @pytest.mark.anyio
    async def test_a_websocket_is_sent_the_rejection(self) -> None:
        connection, messages = self._websocket()
        throttle = WebSocketThrottle("contract", _RATE, identifier=lambda _: "a", backend=InMemoryBackend())
        for _ in range(2):
            assert await throttle.hit(connection) is connection
        assert [(message["type"], message["retry_after"]) for message in messages] == [("rate_limit", 60)]
        assert is_throttled(connection, throttle)

    @pytest.mark.anyio
    async def test_a_websocket_is_told_once_an_episode_where_that_is_asked(self) -> None:
        connection, messages = self._websocket()
        throttle = _line(FloodPolicy(notify="once"))
        for _ in range(4):
            await throttle.hit(connection)
        assert len(messages) == 1
        assert is_throttled(connection)

    @pytest.mark.anyio
    async def test_a_websocket_is_paused_where_that_is_asked(self) -> None:
        connection, messages = self._websocket()
        clock = VirtualClock()
        throttle = _line(FloodPolicy(pause=True), InMemoryBackend(clock=clock))
        with clock.skipping_pauses() as pauses:
            for _ in range(2):
                await throttle.hit(connection)
        assert (pauses, len(messages)) == ([MAX_PAUSE], 1)

    @pytest.mark.anyio
    async def test_a_websocket_is_closed_where_that_is_asked(self) -> None:
        connection, messages = self._websocket()
        throttle = _line(FloodPolicy(close_after=2))
        await throttle.hit(connection)
        await throttle.hit(connection)
        for _ in range(3):
            with suppress(Throttled):
                await throttle.hit(connection)
        assert len(messages) == 2

    def test_websockets_have_an_adapter_of_their_own(self) -> None:
        connection, _ = self._websocket()
        adapter = adapter_of(connection)
        assert adapter is self.websocket_adapter
        assert adapter.websocket is True
        assert adapter.injects is None or isinstance(connection, adapter.injects)

    def _websocket(self) -> tuple[Any, list[Any]]:
        if self.websocket_adapter is None:
            pytest.skip("this framework has no WebSockets")
        messages: list[Any] = []
        return self.websocket_connection(messages), messages


def _throttle(store: Backend | None) -> Throttle[Any]:
    return HTTPThrottle("contract", _RATE, backend=store)


def _line(floods: FloodPolicy, store: Backend | None = None) -> Throttle[Any]:
    backend = InMemoryBackend() if store is None else store
    return WebSocketThrottle("contract", _RATE, identifier=lambda _: "a", backend=backend, floods=floods)


def _refusal() -> Decision:
    return Decision(allowed=False, limit=1, remaining=0, retry_after=59_000_001, reset_after=59_000_001, rate=_RATE)


def _rejection() -> Rejection:
    return reject(_refusal(), policies("contract", [_RATE]))


def _sent(adapter: Adapter, connection: Any, rejection: Rejection) -> None:
    """Send the rejection, in an event loop if the adapter needs one."""

    async def send() -> None:
        sending = adapter.reject(connection, rejection)
        if sending is not None:
            await sending

    anyio.run(send)
