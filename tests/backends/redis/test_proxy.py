"""Each fault of the proxy works as described."""

from __future__ import annotations

import time

import pytest
from redis import ConnectionError as ConnectionFailed
from redis import InvalidResponse, Redis
from redis import TimeoutError as TimedOut
from redis.asyncio import Redis as AsyncRedis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.backends.redis.servers import resolve

ONCE = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 0.5}


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


@pytest.fixture
def client(proxy):
    """A connected client of the proxy."""
    with Redis(port=proxy.port, **ONCE) as one:
        one.ping()
        yield one


def executed(redis_server):
    """The number of times the server has executed ``INCR n``."""
    return int(redis_server.command("GETEX", "n", "EX", "60") or 0)


def test_commands_connections_and_bytes_are_counted(proxy, client):
    sent, received, commands = proxy.sent, proxy.received, proxy.commands.total()
    client.get("a")
    assert proxy.sent - sent == len(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n")
    assert proxy.received - received == len(b"_\r\n")
    assert (proxy.commands["GET"], proxy.commands.total() - commands) == (1, 1)
    assert (proxy.connections, proxy.open) == (1, 1)


def test_latency_delays_a_reply(proxy, client):
    proxy.latency_ms = 30
    start = time.monotonic()
    assert client.ping()
    assert time.monotonic() - start >= 0.03


def test_a_black_hole_accepts_connections_and_forwards_nothing(proxy, client, redis_server):
    proxy.black_hole()
    for _ in range(2):  # on the open connection, and on a new one
        with pytest.raises(TimedOut):
            client.incr("n")
    proxy.heal()
    assert (client.ping(), executed(redis_server), proxy.connections) == (True, 0, 3)


def test_the_command_of_a_dropped_reply_was_executed(proxy, client, redis_server):
    proxy.drop_next_reply()
    with pytest.raises(TimedOut):
        client.incr("n")
    assert (executed(redis_server), client.incr("n")) == (1, 2)


def test_the_command_of_a_cut_reply_was_executed(proxy, client, redis_server):
    proxy.cut_next_reply()
    with pytest.raises(ConnectionFailed):
        client.incr("n")
    assert (executed(redis_server), client.incr("n")) == (1, 2)


def test_garbage_replaces_replies(proxy, client):
    proxy.garbage()
    with pytest.raises(InvalidResponse):
        client.ping()
    proxy.heal()
    assert client.ping()


def test_a_reset_connection_is_closed_and_a_new_one_works(proxy, client):
    connection = client.connection_pool.get_connection()
    proxy.reset()
    with pytest.raises(ConnectionFailed):
        connection.read_response()
    client.connection_pool.release(connection)
    assert (client.ping(), proxy.connections) == (True, 2)


def test_a_proxy_refuses_connections_until_it_is_healed(proxy, client):
    proxy.refuse()
    with pytest.raises(ConnectionFailed, match="refused"):
        client.ping()
    proxy.heal()
    assert client.ping()


def test_a_trickle_brings_the_reply_byte_by_byte(proxy, client):
    client.set("a", "x" * 40, ex=60)
    connection = client.connection_pool.get_connection()
    proxy.trickle()
    connection.send_command("GET", "a")
    assert connection._sock.recv(4096) in {b"$", b"$4"}
    assert connection.disconnect() is None


@pytest.mark.anyio
async def test_async_clients_can_use_it(proxy):
    async with AsyncRedis(port=proxy.port, **ONCE) as client:
        assert await client.ping()
        proxy.drop_next_reply()
        with pytest.raises(TimedOut):
            await client.ping()
