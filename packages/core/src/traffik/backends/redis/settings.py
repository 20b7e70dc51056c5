"""The addresses of the servers and their logins, from a URL, a `Sentinel`, a `Cluster` or a client of redis-py.

Reads the URLs, clients and TLS options of redis-py, and returns plain values. Opens no connection.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from redis.asyncio.connection import RedisSSLContext, parse_url

from traffik.model.errors import ConfigurationError

__all__ = ["Cluster", "Endpoint", "Login", "Sentinel", "Settings", "Where", "read"]

_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss"}
_SENTINEL_PORT: Final = 26379
_FORMS: Final = (
    '"redis://host:6379/0" (or rediss://, unix://, valkey://), "redis+sentinel://host:26379,host:26379/service/0", '
    '"redis+cluster://host:7000,host:7001", a Sentinel, a Cluster, or a client of redis-py'
)


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A primary server with replicas, managed by sentinels.

    Args:
        sentinels: the addresses of the sentinels, ``"host"`` or ``"host:port"``.
        service: the name that the sentinels have for the primary.
        url: the login for the primary: ``"redis://user:password@/0"``, or ``rediss`` for TLS. Its host is ignored.
        sentinel_url: the login for the sentinels, in the same form.
    """

    sentinels: Sequence[str]
    service: str
    url: str = field(default="redis://", repr=False)
    sentinel_url: str = field(default="redis://", repr=False)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster, given by some of its nodes.

    Args:
        nodes: the addresses of one or more nodes, ``"host"`` or ``"host:port"``. They report the other nodes.
        url: the login: ``"redis://user:password@"``, or ``rediss`` for TLS. Its host is ignored.
    """

    nodes: Sequence[str]
    url: str = field(default="redis://", repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server: a host and a port, or the path of a Unix socket."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Login:
    """The login of a new connection."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    provider: Any = None
    database: int = 0
    name: str | None = None
    tls: ssl.SSLContext | None = None

    def commands(self) -> list[tuple[str, ...]]:
        """The commands to send. The server should reply OK to each."""
        found: list[tuple[str, ...]] = []
        if self.provider is not None:
            found.append(("AUTH", *self.provider.get_credentials()))
        elif self.password is not None:
            found.append(("AUTH", *([self.username] if self.username else []), self.password))
        if self.name:
            found.append(("CLIENT", "SETNAME", self.name))
        if self.database:
            found.append(("SELECT", str(self.database)))
        return found


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of all connections.

    Attributes:
        kind: one server, a primary with sentinels, or a cluster.
        endpoints: the server, the sentinels, or some nodes.
        login: the login for the servers with the keys.
        service: the sentinels' name for the primary.
        sentinel_login: the login for the sentinels.
    """

    kind: Literal["single", "sentinel", "cluster"]
    endpoints: tuple[Endpoint, ...]
    login: Login
    service: str = ""
    sentinel_login: Login = Login()

    def __str__(self) -> str:
        where = ",".join(map(str, self.endpoints))
        return where if self.kind == "single" else f"{self.kind} {where}{self.service and f' {self.service}'}"


Where: TypeAlias = "str | Sentinel | Cluster | Any"
"""The type of the argument of `RedisBackend`: a URL, a `Sentinel`, a `Cluster`, or a client of redis-py, async or
sync."""


def read(where: Where) -> Settings:
    """The settings in `where`.

    Raises:
        ConfigurationError: it is not of the type `Where`, or is an invalid URL.
    """
    if isinstance(where, str):
        return _from_url(where)
    if isinstance(where, Sentinel):
        login = _login(_options(where.url))
        sentinels = _endpoints(where.sentinels, _SENTINEL_PORT)
        return Settings("sentinel", sentinels, login, where.service, _login(_options(where.sentinel_url)))
    if isinstance(where, Cluster):
        return Settings("cluster", _endpoints(where.nodes, 6379), _login(_options(where.url)))
    return _from_client(where)


def _from_url(url: str) -> Settings:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _unread(url, error) from None
    base, _, kind = parts.scheme.partition("+")
    if not kind:
        options = _options(url)
        return Settings("single", (_endpoint(options),), _login(options))
    credentials, _, hosts = parts.netloc.rpartition("@")
    scheme = _SCHEMES.get(base, base)
    if kind == "cluster":
        return read(Cluster(hosts.split(","), f"{scheme}://{credentials}@?{parts.query}"))
    service, _, database = parts.path.strip("/").partition("/")
    if kind != "sentinel" or not service:
        raise _unread(url)
    login = f"{scheme}://{credentials}@/{database}?{parts.query}"
    return read(Sentinel(hosts.split(","), unquote(service), login))


def _from_client(client: Any) -> Settings:
    """The settings of a client of redis-py. The store reads them, and opens its own connections."""
    nodes = getattr(client, "nodes_manager", None)
    if nodes is not None:
        startup = tuple(Endpoint(node.host, int(node.port)) for node in nodes.startup_nodes.values())
        return Settings("cluster", startup, _login(nodes.connection_kwargs))
    pool = getattr(client, "connection_pool", None)
    if pool is None:
        raise ConfigurationError(f"not a store: {client!r} ({type(client).__name__}); give {_FORMS}")
    options = _of_pool(pool)
    login = _login(options)
    manager = getattr(pool, "sentinel_manager", None)
    if manager is None:
        return Settings("single", (_endpoint(options),), login)
    inner = [_of_pool(each.connection_pool) for each in manager.sentinels]
    return Settings("sentinel", tuple(map(_endpoint, inner)), login, pool.service_name, _login(inner[0]))


def _of_pool(pool: Any) -> dict[str, Any]:
    return {**pool.connection_kwargs, "connection_class": pool.connection_class}


def _options(url: str) -> Mapping[str, Any]:
    scheme, separator, rest = url.partition("://")
    scheme = _SCHEMES.get(scheme, scheme)
    try:
        options = parse_url(f"{scheme}{separator}{rest}")
        database = urlsplit(url).path.strip("/")
    except ValueError as error:
        raise _unread(url, error) from None
    # redis-py takes another path for the default database, and a URL without a host for localhost
    if not separator or (scheme != "unix" and database and not database.isdecimal()):
        raise _unread(url, ValueError("the path of the URL is the number of a database, as in redis://host:6379/0"))
    return options


def _unread(url: str, error: ValueError | None = None) -> ConfigurationError:
    """The error for an invalid URL. Its message never contains the password, even if that is not escaped correctly."""
    # the standard library's message on a bad host or port shows it, and it may be the end of a password
    why = "" if error is None else f" ({error})" if "URL" in str(error) else " (its host or port cannot be read)"
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    _, at, place = rest.rpartition("@")
    shown = f"{scheme}{separator}***@{place}" if at else url
    shown = re.sub(r"(password=)[^&]*", r"\1***", shown)
    return ConfigurationError(f"not the URL of a store: {shown!r}{why}; give {_FORMS}")


def _endpoint(options: Mapping[str, Any]) -> Endpoint:
    return Endpoint(options.get("host") or "localhost", int(options.get("port") or 6379), options.get("path"))


def _endpoints(addresses: Sequence[str], port: int) -> tuple[Endpoint, ...]:
    if isinstance(addresses, str) or not addresses:
        raise ConfigurationError(f"addresses are a list such as ['host:{port}'], not {addresses!r}")
    found: list[Endpoint] = []
    for address in addresses:
        try:
            if not isinstance(address, str):
                raise ValueError  # noqa: TRY004, TRY301 - handled as any other invalid address
            parts = urlsplit(f"//{address}")
            found.append(Endpoint(parts.hostname or "localhost", parts.port or port))
        except ValueError:
            raise ConfigurationError(f"not an address: {address!r}; write host:port, or [::1]:port") from None
    return tuple(found)


def _login(options: Mapping[str, Any]) -> Login:
    login = Login(
        username=options.get("username"),
        password=options.get("password"),
        provider=options.get("credential_provider"),
        database=int(options.get("db") or 0),
        name=options.get("client_name"),
    )
    if not (options.get("ssl") or _is_secure(options.get("connection_class"))):
        return login
    # redis-py has no default for these. Certificates are checked unless an option says otherwise.
    tls: dict[str, Any] = {"cert_reqs": "required", "check_hostname": True}
    known = signature(RedisSSLContext).parameters.keys() - {"ca_path"}  # not in all versions of redis-py
    tls |= {name: options[f"ssl_{name}"] for name in known if f"ssl_{name}" in options}
    context, folder = RedisSSLContext(**tls).get(), options.get("ssl_ca_path")
    if folder is not None:
        context.load_verify_locations(capath=folder)
    return replace(login, tls=context)


def _is_secure(connection_class: type | None) -> bool:
    return any("SSL" in each.__name__ for each in getattr(connection_class, "__mro__", ()))
