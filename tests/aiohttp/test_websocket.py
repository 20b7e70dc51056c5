"""WebSockets: refusals are messages after `prepare`, and denials before it."""

from time import monotonic

import pytest
from aiohttp import WSServerHandshakeError, web

from tests.adapters.frames import raw_client
from tests.aiohttp_server import calling, serve_aiohttp
from traffik import FloodPolicy, HTTPThrottle, Throttled, WebSocketThrottle, is_throttled
from traffik_aiohttp import WebSocketConnection, adapter
from traffik_aiohttp.errors import ThrottledTooLate

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]

TOLD = '{"type":"rate_limit","error":"Too many requests. Retry in 60 seconds.","retry_after":60}'


def app_of(handler):
    app = web.Application()
    app.router.add_get("/", handler)
    return app


def echo(throttle, cost=None, close=None):
    async def handler(request):
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        connection = WebSocketConnection(request, ws)
        async for message in ws:
            assert await throttle.hit(connection, cost) is connection
            if not is_throttled(connection):
                await ws.send_str(message.data)
            elif close is not None:
                await close(connection)
        return ws

    return app_of(handler)


def door(throttle, connect=WebSocketConnection):
    async def handler(request):
        ws = web.WebSocketResponse()
        await throttle.hit(connect(request, ws))
        await ws.prepare(request)
        return ws

    return app_of(handler)


async def said(app, *texts):
    """Send `texts` on a new WebSocket; the replies."""
    async with calling(app) as session, session.ws_connect("/") as socket:
        for text in texts:
            await socket.send_str(text)
        return [await socket.receive_str(timeout=5) for _ in texts]


class TestAfterItIsPrepared:
    async def test_the_client_gets_a_message_and_the_connection_continues(self, uid):
        assert await said(echo(WebSocketThrottle(uid, "1/min")), "one", "two", "three") == ["one", TOLD, TOLD]

    async def test_a_cost_above_the_capacity_has_no_wait(self, uid):
        (told,) = await said(echo(WebSocketThrottle(uid, "1/min"), cost=2), "dear")
        assert told.endswith('"retry_after":null}')

    async def test_is_throttled_works_with_its_request_too(self, uid):
        throttle, seen = WebSocketThrottle(uid, "0/min"), []

        async def close(connection):
            seen.append([is_throttled(each, throttle) for each in (connection.request, connection.request.clone())])

        await said(echo(throttle, close=close), "one")
        assert seen == [[True, True]]

    @pytest.mark.parametrize(
        ("close", "code"), [(WebSocketConnection.close_violation, 1008), (WebSocketConnection.close_try_again, 1013)]
    )
    async def test_a_handler_may_close_it(self, uid, close, code):
        app = echo(WebSocketThrottle(uid, "0/min"), close=close)
        async with calling(app) as session, session.ws_connect("/") as socket:
            await socket.send_str("one")
            assert await socket.receive_str(timeout=5)
            end = await socket.receive(timeout=5)
        assert (socket.close_code, end.extra) == (code, "Rate limit exceeded")

    async def test_nothing_is_sent_after_a_handler_has_closed_it(self, uid):
        throttle, hits = WebSocketThrottle(uid, "0/min"), []

        async def handler(request):
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            await ws.close()
            hits.append(await throttle.hit(WebSocketConnection(request, ws)))
            return ws

        async with calling(app_of(handler)) as session, session.ws_connect("/") as socket:
            await socket.receive(timeout=5)
        assert is_throttled(hits[0])

    @pytest.mark.parametrize("floods", [FloodPolicy(pause=True), FloodPolicy(close_after=1)])
    async def test_a_websocket_closed_by_its_handler_is_not_closed_again(self, uid, floods):
        throttle, hits = WebSocketThrottle(uid, "1/min", floods=floods), []

        async def handler(request):
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            await ws.close()
            connection = WebSocketConnection(request, ws)
            hits.extend([await throttle.hit(connection) for _ in range(2)])
            return ws

        async with calling(app_of(handler)) as session, session.ws_connect("/") as socket:
            await socket.receive(timeout=5)
        assert is_throttled(hits[1])

    async def test_a_hit_after_the_client_has_gone_raises_nothing(self, uid):
        throttle, hits = WebSocketThrottle(uid, "0/min"), []

        async def handler(request):
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            request.transport.abort()
            hits.append(await throttle.hit(WebSocketConnection(request, ws)))
            return ws

        async with calling(app_of(handler)) as session, session.ws_connect("/") as socket:
            await socket.receive(timeout=5)
        assert is_throttled(hits[0])

    @pytest.mark.parametrize("kind", [WebSocketThrottle, HTTPThrottle])
    async def test_a_refused_hit_of_the_request_sends_no_status_into_it(self, uid, kind, caplog):
        throttle, errors = kind(uid, "0/min"), []

        async def handler(request):
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            try:
                await throttle.hit(request)
            except Throttled as error:
                errors.append(error)
            await ws.close(message=b"end")
            return ws

        async with calling(app_of(handler)) as session, session.ws_connect("/") as socket:
            assert (await socket.receive(timeout=5)).extra == "end"
        assert (type(errors[0]), socket.close_code) == (ThrottledTooLate, 1000)
        assert "hit a WebSocket as WebSocketConnection(request, response)" in errors[0].__notes__[0]

    async def test_a_refused_hit_of_the_request_ends_the_connection(self, uid, caplog):
        throttle = HTTPThrottle(uid, "0/min")

        async def handler(request):
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            await throttle.hit(request)

        async with calling(app_of(handler)) as session, session.ws_connect("/") as socket:
            await socket.receive(timeout=5)
        assert socket.close_code == 1006
        assert "WebSocketConnection(request, response)" in caplog.text

    async def test_sync_code_gets_an_error_since_it_cannot_send(self, uid):
        throttle, errors = WebSocketThrottle(uid, "0/min"), []

        async def handler(request):
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            with pytest.raises(TypeError, match="the rejection of a WebSocketConnection") as caught:
                throttle.sync.hit(WebSocketConnection(request, ws))
            errors.append(caught.value)
            return ws

        async with calling(app_of(handler)) as session, session.ws_connect("/") as socket:
            await socket.receive(timeout=5)
        assert len(errors) == 1


def test_a_client_that_does_not_answer_a_close_is_cut_off(uid, monkeypatch):
    monkeypatch.setattr(adapter, "_PATIENCE", 0.05)  # aiohttp's own timeout is longer
    app = echo(WebSocketThrottle(uid, "0/min", floods=FloodPolicy(close_after=1)))
    with serve_aiohttp(app) as address, raw_client(address, "/") as client:
        client.flood(1)
        client.listen()
        start = monotonic()
        assert [frame.code for frame in client.received() if frame.kind == 8] == [1008]
        assert monotonic() - start < 5


class TestBeforeItIsPrepared:
    @pytest.mark.parametrize("connect", [WebSocketConnection, lambda request, _: request], ids=["pair", "request"])
    @pytest.mark.parametrize("kind", [WebSocketThrottle, HTTPThrottle])
    async def test_it_is_denied_with_a_status(self, uid, kind, connect):
        async with calling(door(kind(uid, "0/min"), connect)) as session:
            with pytest.raises(WSServerHandshakeError) as denied:
                await session.ws_connect("/")
        assert (denied.value.status, denied.value.headers["RateLimit-Policy"]) == (429, f'"{uid}";q=0;w=60')

    async def test_an_admitted_one_is_opened(self, uid):
        async with calling(door(WebSocketThrottle(uid, "1/min"))) as session, session.ws_connect("/") as socket:
            assert not socket.closed
