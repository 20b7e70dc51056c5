"""Serves a service with aiohttp and its own server."""

from aiohttp import web

from tests.adapters.services import Framework, carry_out
from tests.aiohttp_server import serve_aiohttp
from traffik import is_throttled
from traffik_aiohttp import WebSocketConnection, count_uploads, setup, throttled
from traffik_aiohttp.live import live_subapp


class AiohttpClient(Framework):
    def serving(self, service):
        app, inner = web.Application(), web.Application()
        for path, calls in service.routes.items():
            app.router.add_get(path, self.handler(calls, service.decorated.get(path)))
        for path, calls in service.mounted.items():
            inner.router.add_get(path, self.handler(calls))
        for path, calls in service.forbidden.items():
            app.router.add_get(path, self.forbidding(calls))
        for path, calls in service.streams.items():
            app.router.add_get(path, self.streaming(calls))
        for path, socket in service.sockets.items():
            app.router.add_get(path, self.socket(socket))
        app.add_subapp("/in", inner)
        app.router.add_post("/upload", self.uploading(service))
        app.router.add_post("/ignore", self.handler([]))
        if service.live is not None:
            app.add_subapp("/limits", live_subapp(service.live))
        setup(app, service.guards, backend=service.backend)
        if service.uploads:
            app.middlewares.append(count_uploads(service.uploads))
        return serve_aiohttp(app)

    def handler(self, calls, throttles=None):
        async def handler(request):
            return web.json_response(await carry_out(request, calls))

        return throttled(*throttles)(handler) if throttles else handler

    def uploading(self, service):
        async def handler(request):
            size = 0
            try:
                async for piece in request.content.iter_any():
                    size += len(piece)
            finally:
                service.received.append(size)
            return web.json_response(size)

        return handler

    def forbidding(self, calls):
        async def handler(request):
            await carry_out(request, calls)
            raise web.HTTPForbidden

        return handler

    def streaming(self, calls):
        async def handler(request):
            await carry_out(request, calls)
            response = web.StreamResponse()
            await response.prepare(request)
            for part in (b"a", b"b"):
                await response.write(part)
            return response

        return handler

    def socket(self, socket):
        async def handler(request):
            ws = web.WebSocketResponse()
            connection = WebSocketConnection(request, ws)
            await carry_out(connection, socket.door)
            await ws.prepare(request)
            async for message in ws:
                await carry_out(connection, socket.message)
                if not is_throttled(connection):
                    await ws.send_str(message.data)
                elif socket.closes:
                    await connection.close_violation()
            return ws

        return handler
