"""A real aiohttp server for tests, on a free port of the loopback interface, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from threading import Thread

import aiohttp
from aiohttp import web

PATIENCE = 10  # seconds


@asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[str]:
    """Serve `app` on this event loop; yields its address, ``127.0.0.1:port``."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = "{}:{}".format(*listener.getsockname())
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield address
        finally:
            await runner.cleanup()


@asynccontextmanager
async def calling(app: web.Application) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of `app`, which runs on this event loop."""
    async with running(app) as address, aiohttp.ClientSession(f"http://{address}") as session:
        yield session


async def statuses(session: aiohttp.ClientSession, *paths: str) -> list[int]:
    """Send requests one after another; their statuses."""
    answers = []
    for path in paths:
        async with session.get(path) as answer:
            answers.append(answer.status)
    return answers


@contextmanager
def serve_aiohttp(app: web.Application) -> Iterator[str]:
    """Serve `app` in a thread while the context lasts; yields its address."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    started: Future[str] = Future()

    async def main() -> None:
        try:
            async with running(app) as address:
                started.set_result(address)
                await stop.wait()
        except BaseException as error:  # so that the test that waits for the start gets it
            if started.done():
                raise
            started.set_exception(error)

    thread = Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    try:
        yield started.result(PATIENCE)
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server does not stop"
        loop.close()
