"""Django: sync views under waitress, async views under uvicorn."""

from contextlib import ExitStack, contextmanager
from threading import Thread
from types import ModuleType

import waitress
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import JsonResponse
from django.test import override_settings
from django.urls import include, path

from tests.adapters.services import Framework, carry_out, carry_out_sync
from tests.django.project import set_up
from tests.servers import serve

set_up()


@contextmanager
def served_by_threads(app):
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=8)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.effective_port}"
    finally:
        server.close()
        thread.join(10)


class DjangoASGIClient(Framework):
    websockets = False

    @contextmanager
    def serving(self, service):
        urls = ModuleType("urls")
        inner = [self.route(*each) for each in service.mounted.items()]
        urls.urlpatterns = [*(self.route(*each) for each in service.routes.items()), path("in/", include(inner))]
        guards = {f"guard-{place}": throttle for place, throttle in enumerate(service.guards)}
        traffik = {"STORE": service.backend, "THROTTLES": guards, "URLS": {"*": list(guards)}}
        middleware = ["traffik_django.middleware.ThrottleMiddleware"]
        with ExitStack() as stack:
            stack.enter_context(override_settings(ROOT_URLCONF=urls, MIDDLEWARE=middleware, TRAFFIK=traffik))
            yield stack.enter_context(self.server())

    def server(self):
        return serve(ASGIHandler(), lifespan="off", proxy_headers=False)

    def route(self, where, calls):
        async def view(request):
            return JsonResponse(await carry_out(request, calls), safe=False)

        return path(where.removeprefix("/"), view)


class DjangoWSGIClient(DjangoASGIClient):
    def server(self):
        return served_by_threads(WSGIHandler())

    def route(self, where, calls):
        return path(where.removeprefix("/"), lambda request: JsonResponse(carry_out_sync(request, calls), safe=False))
