"""aiohttp, under its own server."""

from aiohttp import web

from tests.adapters.services import Framework, carry_out, parts
from tests.aiohttp_server import serve_aiohttp
from traffik import is_throttled
from traffik_aiohttp import WebSocketConnection, setup


class AiohttpClient(Framework):
    def serving(self, service):
        app, inner = web.Application(), web.Application()
        for where, routes in ((app, service.routes), (inner, service.mounted)):
            for path, calls in routes.items():
                self.route(where, path, calls)
        for path, socket in service.sockets.items():
            app.router.add_get(path, self.socket(socket))
        app.add_subapp("/in", inner)
        setup(app, service.guards, backend=service.backend)
        return serve_aiohttp(app)

    def route(self, app, path, calls):
        async def handler(request):
            answers = await carry_out(request, calls)
            if not path.startswith("/stream"):
                return web.json_response(answers)
            response = web.StreamResponse()
            await response.prepare(request)
            for part in parts(answers):
                await response.write(part)
            return response

        app.router.add_get(path, handler)

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
