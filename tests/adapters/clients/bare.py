"""Serves a service with the sync framework of `tests.adapters.bare`, on the WSGI server of the standard library."""

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
    request_queue_size = 64  # with the default of 5, some of several concurrent clients have to connect again


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass

    def get_stderr(self):
        return StringIO()  # hides the tracebacks of errors that tests cause on purpose


class BareClient(Framework):
    websockets = asynchronous = answers = uploads = live = False
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
