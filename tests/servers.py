"""Real servers for tests: uvicorn on a free port of the loopback interface, in a thread or in another process."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import uvicorn

PATIENCE = 30  # seconds


class Server(uvicorn.Server):
    """A server that sets an event when it has started or failed."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()

    async def main_loop(self) -> None:
        """As uvicorn's, which looks ten times a second whether it should stop."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            await asyncio.sleep(0.01)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which always waits for a tenth of a second, also if no client is there any more."""
        state = self.server_state
        for each in (*self.servers, *(sockets or ())):
            each.close()
        for connection in list(state.connections):
            connection.shutdown()
        end = time.monotonic() + (self.config.timeout_graceful_shutdown or 0)
        while (state.connections or state.tasks) and time.monotonic() < end:  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(0.002)
        for task in state.tasks:
            task.cancel()
        await self.lifespan.shutdown()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        finally:
            self.settled.set()


@contextmanager
def serve(app: Any, *, listener: socket.socket | None = None, **config: Any) -> Iterator[str]:
    """Serve `app`, with its lifespan, while the context lasts; yields its address, ``127.0.0.1:port``."""
    if listener is None:
        # asyncio sends small responses at once only on sockets whose protocol is TCP.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    settings = {"lifespan": "on", "log_level": "warning", "timeout_graceful_shutdown": 2, **config}
    settings.setdefault("timeout_keep_alive", PATIENCE)  # on a busy machine, clients may use a connection late
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


@contextmanager
def serve_apart(app: str, **environ: str) -> Iterator[str]:
    """Serve ``module:app`` in another process, with more environment variables; yields its address."""
    with serve_by(
        ["uvicorn", app, "--port", "{port}", "--log-level", "warning", "--timeout-keep-alive", f"{PATIENCE}"], **environ
    ) as address:
        yield address


@contextmanager
def serve_by(command: list[str], stderr: Any = None, **environ: str) -> Iterator[str]:
    """Run a server module with arguments, in which ``{port}`` is replaced; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = [word.format(port=port) for word in command]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(
        [sys.executable, "-m", *words], cwd=root, stderr=stderr, env={**os.environ, **environ}
    ) as process:
        try:
            wait_until_it_listens(process, port)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            assert process.wait(PATIENCE) is not None


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until a server in another process accepts connections. Fails if it ends or takes too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server could not start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)  # the other process has no other sign that it is ready
        else:
            return
    raise TimeoutError("the server is still starting")
