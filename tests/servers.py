"""Real servers for tests: uvicorn on a free port of the loopback interface, in a thread of this process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import uvicorn

PATIENCE = 10  # seconds


class Server(uvicorn.Server):
    """A server that tells when it has started, or given up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        finally:
            self.settled.set()


@contextmanager
def serve(app: Any, *, listener: socket.socket | None = None, **config: Any) -> Iterator[str]:
    """Serve `app`, lifespan included, for as long as the context lasts; its address, ``127.0.0.1:port``."""
    if listener is None:
        # asyncio sends small answers at once only on sockets that say they are TCP.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    settings = {"lifespan": "on", "log_level": "warning", "timeout_graceful_shutdown": 2, **config}
    server = Server(uvicorn.Config(app, **settings))
    thread = Thread(target=server.run, args=([listener],), daemon=True)
    with listener:
        address = "{}:{}".format(*listener.getsockname()) if listener.family == socket.AF_INET else "localhost"
        thread.start()
        try:
            assert server.settled.wait(PATIENCE), "the server is still starting"
            assert server.started, "the server could not start"
            yield address
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the server does not stop"
