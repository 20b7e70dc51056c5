"""A real server for WSGI: waitress on a free port of the loopback interface, its threads in this process."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import waitress

PATIENCE = 10  # seconds


@contextmanager
def serve_by_threads(app: Any) -> Iterator[str]:
    """Serve `app` for as long as the context lasts; its address, ``127.0.0.1:port``."""
    sockets: dict[int, Any] = {}
    options = {"threads": 8, "clear_untrusted_proxy_headers": False}  # by itself it keeps forwarding headers from us
    server = waitress.create_server(app, map=sockets, host="127.0.0.1", port=0, **options)

    def close_all() -> None:
        for each in list(sockets.values()):
            each.close()

    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.effective_port}"
    finally:
        # In the thread that selects on them: closed from here, they would vanish under its `select`.
        with suppress(OSError):  # awake already, it may have run it and closed the trigger before that is pulled
            server.trigger.pull_trigger(close_all)
        thread.join(PATIENCE)
        server.task_dispatcher.shutdown()
        assert not thread.is_alive(), "the server does not stop"
