"""A real WSGI server for tests: waitress on a free port of the loopback interface, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import waitress
from waitress import wasyncore

PATIENCE = 10  # seconds


@contextmanager
def serve_by_threads(app: Any) -> Iterator[str]:
    """Serve `app` while the context lasts; yields its address, ``127.0.0.1:port``."""
    sockets: dict[int, Any] = {}
    options = {"threads": 8, "clear_untrusted_proxy_headers": False}  # by default waitress removes forwarding headers
    server = waitress.create_server(app, map=sockets, host="127.0.0.1", port=0, **options)
    over = Event()

    def run() -> None:
        while not over.is_set():
            wasyncore.loop(timeout=0.01, map=sockets, count=1)
        # Closed in the thread that selects on them, after the threads that wake it: none uses closed sockets.
        server.task_dispatcher.shutdown()
        for each in list(sockets.values()):
            each.close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.effective_port}"
    finally:
        over.set()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server does not stop"
