"""Settings read from a URL, a Sentinel, a Cluster and a client of redis-py, without connecting."""

from __future__ import annotations

import ssl
from types import SimpleNamespace

import pytest
from redis import Redis, SSLConnection, UsernamePasswordCredentialProvider
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio import Sentinel as AsyncSentinels
from redis.asyncio.cluster import ClusterNode
from redis.sentinel import Sentinel as Sentinels

from traffik.backends.redis import Cluster, RedisBackend, Sentinel, handshake, lookups
from traffik.backends.redis.batches import Entry
from traffik.backends.redis.settings import Endpoint, Login, Settings, read
from traffik.model.errors import BackendError, ConfigurationError

SECRET = "s3cret"


def single(*endpoint, **login):
    return Settings("single", (Endpoint(*endpoint),), Login(**login))


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("redis://", single("localhost", 6379)),
        ("redis://cache", single("cache", 6379)),
        ("redis://cache:7000/3", single("cache", 7000, database=3)),
        ("valkey://cache:7000", single("cache", 7000)),
        ("redis://[::1]:7000", single("::1", 7000)),
        ("redis://ada:pw@cache", single("cache", 6379, username="ada", password="pw")),
        ("redis://:pw@cache", single("cache", 6379, password="pw")),
        ("redis://a%40b:p%2Fw%25@cache", single("cache", 6379, username="a@b", password="p/w%")),
        ("redis://cache?db=2&client_name=web", single("cache", 6379, database=2, name="web")),
        ("unix:///run/redis.sock", single("localhost", 6379, "/run/redis.sock")),
        ("unix:///run/redis.sock?db=2", single("localhost", 6379, "/run/redis.sock", database=2)),
        ("unix://ada:pw@/run/a.sock", single("localhost", 6379, "/run/a.sock", username="ada", password="pw")),
    ],
)
def test_a_url_of_one_server(url, settings):
    assert read(url) == settings


def test_a_url_of_sentinels():
    found = read("valkey+sentinel://ada:p%40w@one,two:7000,[::1]:7001/my%20main/2")
    endpoints = (Endpoint("one", 26379), Endpoint("two", 7000), Endpoint("::1", 7001))
    assert found == Settings("sentinel", endpoints, Login("ada", "p@w", database=2), "my main")
    assert found == read(Sentinel(["one", "two:7000", "[::1]:7001"], "my main", "redis://ada:p%40w@/2"))


def test_sentinels_may_have_another_password():
    found = read(Sentinel(["one"], "main", "redis://:inner@", "redis://guard:outer@"))
    assert (found.login.password, found.sentinel_login) == ("inner", Login("guard", "outer"))


def test_a_url_of_a_cluster():
    found = read("redis+cluster://:pw@one,two:7001")
    assert found == Settings("cluster", (Endpoint("one", 6379), Endpoint("two", 7001)), Login(password="pw"))
    assert found == read(Cluster(["one", "two:7001"], "redis://:pw@"))


@pytest.mark.parametrize(
    "url",
    [
        "rediss://cache",
        "valkeys://cache",
        "rediss+sentinel://one/main",
        "rediss+cluster://one",
        "valkeys+cluster://one?ssl_cert_reqs=required",
    ],
)
def test_tls_checks_the_certificate_and_the_host_name(url):
    tls = read(url).login.tls
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_the_checks_of_tls_can_be_configured():
    tls = read("rediss://cache?ssl_cert_reqs=none&ssl_check_hostname=false").login.tls
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_NONE, False)
    tls = read("rediss://cache?ssl_check_hostname=false").login.tls
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, False)


@pytest.mark.parametrize(
    "url",
    [
        f"http://ada:{SECRET}@cache",
        f"redis+pigeon://ada:{SECRET}@one/main",
        f"redis+sentinel://ada:{SECRET}@one",
        f"redis://ada:{SECRET}@cache:port",
        f"redis://ada:{SECRET}/x@cache",
        f"redis://ada:a:{SECRET}@cache:port",
        f"http://{SECRET}@cache:port",
        f"redis://ada:{SECRET}@[::1",
        f"http://cache?password={SECRET}",
        f"redis://cache?db=x&password={SECRET}",
        f"redis+cluster://ada:{SECRET}@one:x",
        f"rediss://cache?ssl_password={SECRET}&db=x",
        f"redis://ada:x://{SECRET}@cache:x",
        f"ada:{SECRET}@cache",
        f"redis://ada:{SECRET}@cache/shop",
        f"redis:/ada:{SECRET}@cache",
        "redis://cache/0/1",
        "cache",
        "",
    ],
)
def test_an_error_lists_the_forms_and_shows_no_password(url):
    with pytest.raises(ConfigurationError) as caught:
        read(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("where", [None, 7, b"redis://cache", {"host": "cache"}, object()])
def test_an_invalid_store_is_an_error_that_lists_the_forms(where):
    with pytest.raises(ConfigurationError, match=r'not a store: .*; give "redis://host'):
        RedisBackend(where)


@pytest.mark.parametrize("nodes", [[], (), "one,two", ["one:port"], ["[::1"], [("one", 6379)]])
def test_addresses_are_a_list_of_hosts(nodes):
    with pytest.raises(ConfigurationError, match=r"addresses are a list|not an address"):
        read(Cluster(nodes))


@pytest.mark.parametrize(
    "where",
    [
        read(f"redis://ada:{SECRET}@cache"),
        Cluster(["one"], f"redis://:{SECRET}@"),
        Sentinel(["one"], "main", f"redis://:{SECRET}@", f"redis://:{SECRET}@"),
    ],
)
def test_no_password_is_shown(where):
    settings = where if isinstance(where, Settings) else read(where)
    assert SECRET in repr(settings.login.commands())
    assert SECRET not in f"{where!r} {settings!r} {settings}"


@pytest.mark.parametrize("client", [Redis, AsyncRedis])
def test_a_client(client):
    found = read(client(host="cache", port=7000, db=3, username="ada", password="pw", client_name="web"))
    assert found == single("cache", 7000, username="ada", password="pw", database=3, name="web")
    assert read(client(unix_socket_path="/run/redis.sock")) == single("localhost", 6379, "/run/redis.sock")
    assert read(client.from_url("redis://cache:7000/3")) == single("cache", 7000, database=3)


@pytest.mark.parametrize("client", [Redis, AsyncRedis])
def test_a_client_with_tls(client):
    tls = read(client(host="cache", ssl=True, ssl_cert_reqs="none", ssl_check_hostname=False)).login.tls
    assert tls.verify_mode == ssl.CERT_NONE
    assert read(client.from_url("rediss://cache")).login.tls.verify_mode == ssl.CERT_REQUIRED


def test_a_client_whose_credentials_change():
    provider = UsernamePasswordCredentialProvider("ada", "pw")
    assert read(Redis(credential_provider=provider)).login.commands() == [("AUTH", "ada", "pw")]


@pytest.mark.parametrize("kind", [Sentinels, AsyncSentinels])
def test_a_client_of_sentinels(kind):
    sentinels = kind([("one", 7000), ("two", 7001)], sentinel_kwargs={"password": "outer"}, password="inner", db=2)
    found = read(sentinels.master_for("main"))
    endpoints = (Endpoint("one", 7000), Endpoint("two", 7001))
    assert found == Settings(
        "sentinel", endpoints, Login(password="inner", database=2), "main", Login(password="outer")
    )


def test_a_client_of_sentinels_with_tls():
    found = read(Sentinels([("one", 7000)], sentinel_kwargs={"ssl": True}, ssl=True).master_for("main"))
    assert (found.login.tls is not None, found.sentinel_login.tls is not None) == (True, True)


def test_an_async_client_of_a_cluster():
    client = AsyncRedisCluster(startup_nodes=[ClusterNode("one", 7000)], username="ada", password="pw")
    assert read(client) == Settings("cluster", (Endpoint("one", 7000),), Login("ada", "pw"))
    assert read(AsyncRedisCluster("one", 7000, ssl=True)).login.tls is not None


@pytest.mark.parametrize("options", [{"ssl": True}, {"connection_class": SSLConnection}])
def test_a_sync_client_of_a_cluster_with_tls(options):
    # A real client connects when it is made.
    nodes = SimpleNamespace(startup_nodes={"x": SimpleNamespace(host="one", port=7000)}, connection_kwargs=options)
    assert read(SimpleNamespace(nodes_manager=nodes)).login.tls is not None


def test_the_login_has_user_name_and_database():
    login = Login("ada", "pw", database=3, name="web")
    assert login.commands() == [("AUTH", "ada", "pw"), ("CLIENT", "SETNAME", "web"), ("SELECT", "3")]
    assert Login(password="pw").commands() == [("AUTH", "pw")]
    assert Login().commands() == []


def test_a_folder_of_certificates_is_trusted(tmp_path):
    login = read(f"rediss://cache?ssl_ca_path={tmp_path}").login
    assert login.tls.verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize("hits", [0, True, 1.5])
def test_the_hits_of_a_batch_are_an_integer_from_1(hits):
    with pytest.raises(ValueError, match="max_batch is an integer from 1"):
        RedisBackend("redis://cache", max_batch=hits)


def test_a_key_without_its_uid_cannot_be_reset():
    with pytest.raises(ValueError, match="give the uid of its throttle too"):
        RedisBackend("redis://cache").reset_sync(None, "ada")


@pytest.mark.parametrize("answer", [[], OSError("no such host")])
def test_a_name_without_an_address_is_an_error(answer, monkeypatch):
    def getaddrinfo(host, port, *, flags=0, **options):
        if flags or isinstance(answer, OSError):
            raise OSError("no such host")
        return answer

    monkeypatch.setattr(lookups.socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(OSError, match=r"no such host|no address"):
        lookups.look_up(Endpoint("cache.invalid", 6379)).result(10)


def test_a_server_that_became_a_replica_is_no_primary():
    with pytest.raises(BackendError, match="is no longer a primary"):
        handshake.check_greeting(Endpoint("cache", 6379), [b"sha", [b"slave", b"other", 6379]])


def test_a_hit_is_redirected_a_few_times():
    entry = Entry([], 0.0)
    errors = [entry.sent_on("MOVED 1 one:1") for _ in range(20)]
    assert errors[0] is None
    assert "more than" in str(errors[-1])
