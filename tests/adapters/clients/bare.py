"""The framework of a few lines, under the WSGI server of the standard library: all of it is sync."""

from contextlib import contextmanager
from io import StringIO
from socketserver import ThreadingMixIn
from threading import Thread
from types import MappingProxyType
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from tests.adapters.bare import App
from tests.adapters.services import Framework, carry_out_sync
from traffik.adapters import subapps_of
from traffik.backends.binding import bound
from traffik.model.coroutines import run_sync
from traffik.throttles.guards import hit_each


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64  # with the five of the class, callers at the same time wait for a second try


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass

    def get_stderr(self):
        return StringIO()  # tracebacks of what fails on purpose


class BareClient(Framework):
    websockets = asynchronous = answers = uploads = False
    tells_names_apart = False

    @contextmanager
    def serving(self, service):
        app = App(handlers(service.routes, service.decorated), {"/in": App(handlers(service.mounted))}, service.guards)
        store = service.backend
        with store, bound(store, app, subapps_of(app)), Server(("127.0.0.1", 0), Quiet) as server:
            server.set_app(app)
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            try:
                yield "{}:{}".format(*server.server_address)
            finally:
                server.shutdown()
                thread.join(10)


def handlers(routes, decorated=MappingProxyType({})):
    return {path: handler(calls, decorated.get(path, ())) for path, calls in routes.items()}


def handler(calls, throttles):
    def answer(request):
        run_sync(hit_each(throttles, request, sync=True))
        return carry_out_sync(request, calls)

    return answer
