"""Each form of the argument `where` connects to the right server."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio import Sentinel as AsyncSentinels
from redis.cluster import RedisCluster
from redis.sentinel import Sentinel as Sentinels

from tests.backends.redis.servers import binaries, free_port, resolve, server
from tests.backends.redis.ways import LIMIT

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


def counts(one):
    """Assert that hits are counted; the key that counts them."""
    assert [one.hit().remaining for _ in range(2)] == [LIMIT - 1, LIMIT - 2]
    assert one.store.degraded == {}
    return one.store.partition_key("shop", "ada")


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_a_url_with_login_database_and_client_name(redis_server, shop, scheme):
    redis_server.command("ACL", "SETUSER", "a@b", "on", ">p/w%", "~*", "+@all")
    one = shop(f"{scheme}://a%40b:p%2Fw%25@127.0.0.1:{redis_server.port}/3?client_name=web")
    key = counts(one)
    with redis_server.client(db=3) as client:
        assert client.exists(key)
        assert [each["user"] for each in client.client_list() if each["name"] == "web"] == ["a@b"]
    redis_server.command("ACL", "DELUSER", "a@b")


def test_a_sync_client(redis_server, shop):
    with Redis(port=redis_server.port, db=3) as client:
        assert client.exists(counts(shop(client)))


def test_an_async_client(redis_server, shop):
    with redis_server.client(db=3) as client:
        assert client.exists(counts(shop(AsyncRedis(port=redis_server.port, db=3))))


def test_a_unix_socket(shop, binary, tmp_path):
    path = tmp_path / "s"
    with server("--unixsocket", str(path), binary=binary) as one, Redis(unix_socket_path=str(path)) as client:
        for where in (f"unix://{path}", client):
            assert one.command("EXISTS", counts(shop(where))) == 1
            one.command("FLUSHALL")


def test_a_client_of_a_cluster(redis_cluster, shop):
    with closing(RedisCluster.from_url(redis_cluster.url)) as client:
        assert client.exists(counts(shop(client)))


def test_an_async_client_of_a_cluster(redis_cluster, shop):
    host, port = redis_cluster.addresses[0]
    key = counts(shop(AsyncRedisCluster(host, port)))
    assert sum(node.command("DBSIZE") for node in redis_cluster.primaries) == 1
    assert redis_cluster.owner(redis_cluster.slot_of(key)).command("EXISTS", key) == 1


@pytest.mark.parametrize("kind", [Sentinels, AsyncSentinels])
def test_a_client_of_sentinels(sentinels, shop, kind):
    finder = kind(sentinels.addresses)
    assert sentinels.primary.command("EXISTS", counts(shop(finder.master_for(sentinels.name)))) == 1


@pytest.mark.parametrize("where", ["redis+sentinel://{}/main", "valkey+sentinel://{}/main/0"])
def test_a_url_of_sentinels(sentinels, shop, where):
    hosts = ",".join(f"{host}:{port}" for host, port in sentinels.addresses)
    assert sentinels.primary.command("EXISTS", counts(shop(where.format(hosts)))) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for this machine, and its key."""
    home = tmp_path_factory.mktemp("tls")
    cert, key = home / "cert.pem", home / "key.pem"
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run(
        [*command.split(), "-addext", names, "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL
    )
    return cert, key


@pytest.fixture
def secure(certificate):
    """A server with TLS, and its TLS port."""
    cert, key = certificate
    for binary in binaries():
        port = free_port()
        options = ("--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")
        try:
            with server(*map(str, options), binary=binary) as one:
                yield one, port
                return
        except RuntimeError:
            continue
    pytest.skip("no server program here speaks TLS")


def test_tls(secure, certificate, shop):
    one, port = secure
    key = counts(shop(f"rediss://localhost:{port}?ssl_ca_certs={certificate[0]}"))
    assert one.command("DEL", key) == 1
    with Redis(port=port, ssl=True, ssl_ca_certs=str(certificate[0])) as client:
        assert one.command("EXISTS", counts(shop(client))) == 1


def test_a_certificate_without_a_trusted_issuer_is_rejected(secure, shop):
    errors = []
    one = shop(
        f"rediss://localhost:{secure[1]}", deadline=5, on_error=lambda error: errors.append(str(error)) or "allow"
    )
    assert one.hit().degraded == "allow"
    assert "CERTIFICATE_VERIFY_FAILED" in errors[0]
