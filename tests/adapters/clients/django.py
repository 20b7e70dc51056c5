"""Django: sync views under waitress; async views, and consumers of Channels, under uvicorn."""

from contextlib import ExitStack, contextmanager
from types import ModuleType

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.exceptions import PermissionDenied
from django.core.handlers.wsgi import WSGIHandler
from django.http import JsonResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import include, path

from tests.adapters.services import Framework, carry_out, carry_out_sync
from tests.django.project import set_up
from tests.servers import serve
from tests.wsgi_server import serve_by_threads
from traffik import is_throttled
from traffik_django import throttled
from traffik_django.asgi import get_asgi_application
from traffik_django.consumers import ThrottledConsumerMixin
from traffik_django.live import live_urls

set_up()


def answer(answers):
    return JsonResponse(answers, safe=False)


def forbid(_):
    raise PermissionDenied


def chat_of(socket, guards):
    class Chat(ThrottledConsumerMixin, AsyncWebsocketConsumer):
        async def connect(self):
            for guard in guards:  # Django's middleware does not see WebSockets
                await guard.hit(self)
            await carry_out(self, socket.door)
            await self.accept()

        async def receive(self, text_data=None, bytes_data=None):
            await carry_out(self, socket.message)
            if not is_throttled(self):
                await self.send(text_data=text_data)
            elif socket.closes:
                await self.close(code=1008)

    return Chat.as_asgi()


class DjangoASGIClient(Framework):
    reads_all = True
    adds_slash = False

    @contextmanager
    def serving(self, service):
        urls = ModuleType("urls")
        inner = [self.route(*each) for each in service.mounted.items()]
        urls.urlpatterns = [
            *(self.route(where, calls, service.decorated.get(where)) for where, calls in service.routes.items()),
            *(self.route(where, calls, then=forbid) for where, calls in service.forbidden.items()),
            *(self.route(where, calls, then=self.stream) for where, calls in service.streams.items()),
            path("in/", include(inner)),
            *([path("limits/", include(live_urls(service.live)))] if service.live is not None else []),
            path("upload", self.uploading(service)),
            path("ignore", lambda _: answer(0)),
        ]
        guards = {f"guard-{place}": each for place, each in enumerate(service.guards) if not each.websocket}
        uploads = {f"upload-{place}": each for place, each in enumerate(service.uploads)}
        traffik = {"STORE": service.backend, "THROTTLES": guards | uploads, "URLS": {"*": list(guards)}}
        middleware = ["traffik_django.middleware.ThrottleMiddleware"]
        if uploads:
            traffik["UPLOADS"] = list(uploads)
            middleware.append("traffik_django.uploads.UploadMiddleware")
        with ExitStack() as stack:
            stack.enter_context(override_settings(ROOT_URLCONF=urls, MIDDLEWARE=middleware, TRAFFIK=traffik))
            yield stack.enter_context(self.server(service))

    def template(self, path):
        return path.removeprefix("/")

    def server(self, service):
        guards = [throttle for throttle in service.guards if throttle.websocket]
        sockets = [path(where.removeprefix("/"), chat_of(each, guards)) for where, each in service.sockets.items()]
        app = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter(sockets)})
        return serve(app, lifespan="off", proxy_headers=False)

    def uploading(self, service):
        def upload(request):
            size = 0
            try:
                while piece := request.read(8192):
                    size += len(piece)
            finally:
                service.received.append(size)
            return answer(size)

        return upload

    def stream(self, _):
        async def parts():
            yield "a"
            yield "b"

        return StreamingHttpResponse(parts())

    def route(self, where, calls, throttles=None, then=answer):
        async def view(request):
            return then(await carry_out(request, calls))

        return path(where.removeprefix("/"), throttled(*throttles)(view) if throttles else view)


class DjangoWSGIClient(DjangoASGIClient):
    websockets = asynchronous = reads_all = streams = live_streams = False

    def server(self, service):
        return serve_by_threads(WSGIHandler())

    def stream(self, _):
        return StreamingHttpResponse(["a", "b"])

    def route(self, where, calls, throttles=None, then=answer):
        def view(request):
            return then(carry_out_sync(request, calls))

        return path(where.removeprefix("/"), throttled(*throttles)(view) if throttles else view)
