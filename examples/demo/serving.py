"""Servers for the demo: uvicorn on a free port of this machine alone, in a thread or as several worker processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from threading import Thread
from typing import Final

import httpx
import uvicorn

PATIENCE: Final = 40.0
"""Seconds that a server may take to start."""


@contextmanager
def served(app: str) -> Generator[str, None, None]:
    """Run `app` in a thread; its address."""
    # asyncio sends small responses at once only on sockets that are known to be TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", proxy_headers=False))
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def two_workers(app: str, **environment: str) -> Generator[str, None, None]:
    """Run `app` as two worker processes; its address. They may still be starting: see `wait_for`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", app, "--workers", "2", "--port", str(port), "--no-proxy-headers"]
    quiet = ["--log-level", "critical"]
    with subprocess.Popen([*command, *quiet], env=os.environ | environment) as server:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def wait_for(address: str) -> None:
    """Wait until the server at `address` answers.

    Raises:
        TimeoutError: it does not.
    """
    deadline = time.monotonic() + PATIENCE
    with httpx.Client(base_url=address) as http:
        while time.monotonic() < deadline:
            try:
                http.get("/health")
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return
    raise TimeoutError(f"the server at {address} has not started within {PATIENCE:.0f} s")
