"""A flood of WebSocket messages costs a real server a bounded number of frames, log lines and bytes of memory."""

import logging
import tracemalloc
from socket import SO_RCVBUF, SOL_SOCKET
from threading import Event

import anyio.to_thread
import pytest
from uvicorn.config import LOGGING_CONFIG

from tests.adapters.clients.aiohttp import AiohttpClient
from tests.adapters.clients.django import DjangoASGIClient
from tests.adapters.clients.starlette import StarletteClient
from tests.adapters.frames import raw_client
from tests.adapters.services import Call, Socket
from traffik import FloodPolicy, WebSocketThrottle
from traffik.limits import timing

TEXT, CLOSED = 1, 8
LOST = "socket.send() raised exception."
FRAMES_OF_A_READ = 2**18 // 7  # asyncio reads 256 KiB at once, that is so many frames of one letter
BOUND = 32 << 20
"""The most bytes that a server may allocate during one flood. Reading the whole flood ahead would need more."""

SIZES = {StarletteClient: 20_000, AiohttpClient: 20_000, DjangoASGIClient: 4_000}
"""Frames of a flood that is read to its end; Channels handles a frame in about a millisecond."""


@pytest.fixture(params=SIZES)
def framework(request):
    return request.param()


@pytest.fixture
def flooded(framework, served, uid):
    """Serves a WebSocket that admits one message, with this flood policy; the address."""

    def start(floods):
        throttle = WebSocketThrottle(uid, "1/min", floods=floods)
        return served(sockets={"/ws": Socket(message=[Call("hit", throttle)])}).base_url.netloc.decode()

    return start


@pytest.fixture
def lines(caplog, monkeypatch):
    """The warnings and errors that a service logs."""
    monkeypatch.setitem(LOGGING_CONFIG["loggers"]["uvicorn"], "propagate", True)
    caplog.set_level(logging.WARNING)

    def lines():
        messages = [record.getMessage() for record in caplog.records]
        # asyncio logs a line for each reply to a client that is gone: at most one for each frame it had read.
        ours = [message for message in messages if message != LOST]
        return ours if len(messages) - len(ours) <= FRAMES_OF_A_READ else messages

    return lines


@pytest.fixture
def peak():
    """The peak of allocated bytes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.fixture
def gate(monkeypatch):
    """A pause ends when this event is set."""
    gate = Event()

    async def sleep(_):
        await anyio.to_thread.run_sync(gate.wait)

    monkeypatch.setattr(timing, "sleep", sleep)
    yield gate
    gate.set()


def texts(frames):
    return [frame.payload for frame in frames if frame.kind == TEXT]


def test_a_flood_gets_one_message(framework, flooded, lines):
    with raw_client(flooded(FloodPolicy(notify="once"))) as client:
        client.listen()
        assert client.flood(SIZES[type(framework)]) == SIZES[type(framework)]
        assert client.refusals(at_least=1) == 1
        client.close()
        echo, told = texts(client.received())
    assert (echo, told[:21]) == (b"x", b'{"type":"rate_limit",')
    assert [line for line in lines() if "rror" in line] == []
    assert lines() == []


def test_a_flood_is_closed(flooded, lines, peak):
    with raw_client(flooded(FloodPolicy(close_after=10))) as client:
        client.listen()
        client.flood(50_000)
        client.close()
        frames = client.received()
    assert (len(texts(frames)), frames[-1].code) == (11, 1008)
    assert peak() < BOUND
    assert lines() == []


def test_a_paused_flood_is_not_read(flooded, gate, peak):
    with raw_client(flooded(FloodPolicy(pause=True))) as client:
        client.listen()
        assert client.flood(10_000_000, patience=1) < 5_000_000
        assert (client.refusals(at_least=1), peak() < BOUND) == (1, True)
        client.abort()


def test_a_client_that_does_not_read_is_not_read_either(flooded, lines, peak):
    with raw_client(flooded(None)) as client:
        client.connection.setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096)
        assert (client.flood(10_000_000, patience=1) < 5_000_000, peak() < BOUND) == (True, True)
        client.abort()
    assert lines() == []


@pytest.mark.parametrize("floods", [None, FloodPolicy(notify="once", close_after=3_000)], ids=["told", "closed"])
def test_a_client_that_leaves_in_a_flood_is_no_error(framework, flooded, floods, lines):
    with raw_client(flooded(floods)) as client:
        client.listen()
        client.flood(SIZES[type(framework)])
        client.close()
        client.received()
    assert lines() == []
