"""The interface to frameworks: the methods of an adapter, and how the adapter of a connection is found.

An adapter hands over plain data and carries out the decisions of the core. It decides nothing. Adapters are found by
walking ``type(connection).__mro__`` in the entry-point group ``traffik.adapters``, whose names are dotted connection
classes. They are loaded when a store opens, or at the first connection of a type, and remembered per type.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from traffik.model.decisions import Decision
from traffik.model.descriptions import describe
from traffik.model.errors import AdapterNotFoundError, ConfigurationError
from traffik.notices import misconfiguration

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from traffik.responses.rejections import Rejection

__all__ = [
    "GROUP",
    "Adapter",
    "Memory",
    "SocketAdapter",
    "adapter_of",
    "check_app",
    "check_injection",
    "injected",
    "load_adapters",
    "register_adapter",
    "socket_adapter_of",
    "subapps_of",
]

GROUP: Final = "traffik.adapters"

Memory: TypeAlias = dict[Any, Decision]
"""The most recent decision of each throttle on one connection, in the order of the hits."""


class Adapter(Protocol):
    """The methods that the core calls for a framework's connections.

    An adapter may also have a text `store_advice`, which ends the message of `BackendNotFoundError`: a phrase that
    begins with a verb and says how to give an application a store.

    It may have a method `check(app)` too, called for each application that starts. It gives notices of mistakes in how
    the application uses throttles, and raises `ConfigurationError` for those that cannot work. It ignores applications
    of other frameworks.
    """

    injects: type | None
    """The class of connections, if the framework injects dependencies by annotation; None if it does not."""

    websocket: bool
    """Whether these connections carry messages, so that they are for a `WebSocketThrottle`."""

    def peer(self, connection: Any, /) -> str | None:
        """The address of the socket's peer; None if there is none (a Unix socket)."""
        ...

    def headers(self, connection: Any, name: str, /) -> Sequence[str]:
        """The lines of the header field `name` (in lower case), in the order they came; none if it is missing.

        If the server has joined lines with the same name, they are one line.
        """
        ...

    def method(self, connection: Any, /) -> str:
        """The method of the request, in upper case. A request that opens a WebSocket is a GET."""
        ...

    def path(self, connection: Any, /) -> str:
        """The whole path, percent-decoded: with the prefixes of mounted applications, without the query.

        It is the path that the framework's router matches, so an encoded slash stays ``%2F`` where the router does not
        decode it. The prefix that a proxy or a server adds in front of all routes is left out.
        """
        ...

    def route(self, connection: Any, /) -> str | None:
        """The template of the route that matches the request; None if no route does.

        It is as given to the framework, with the prefixes of mounted applications. The core asks for it only if a rule
        names a route. A mounted application without routes, such as static files, has its prefix as template.

        Raises:
            ConfigurationError: the framework cannot tell the route.
        """
        ...

    def app(self, connection: Any, /) -> object | None:
        """The application that serves the connection, to find the store bound to it."""
        ...

    def subapps(self, app: Any, /) -> Iterable[object]:
        """The applications mounted in `app`; none if it belongs to another framework."""
        ...

    def memory(self, connection: Any, /) -> Memory:
        """A dict that lives as long as the connection. All objects for one connection share it."""
        ...

    def reject(self, connection: Any, rejection: Rejection, /) -> Awaitable[None] | None:
        """Raise the framework's own error, or send the rejection. Returns an awaitable if sending has to be awaited."""
        ...


class SocketAdapter(Adapter, Protocol):
    """The additional methods for connections that carry messages, which flood policies need."""

    def accepted(self, connection: Any, /) -> bool:
        """Whether the WebSocket is accepted, so that a refusal can no longer be a response with a status."""
        ...

    def pause(self, connection: Any, sleep: Callable[[], Awaitable[None]], /) -> Awaitable[None] | None:
        """An awaitable that ends once messages may be read again: usually `sleep()` itself.

        None if the framework awaits `sleep()` by itself before it reads the next message.
        """
        ...

    def close(self, connection: Any, rejection: Rejection, code: int, /) -> Awaitable[None] | None:
        """Close the WebSocket with `code` and `traffik.limits.floods.REASON`, so that the loop over its messages ends.

        It raises a `Throttled` for which the framework closes the WebSocket, or returns an awaitable that closes it. A
        closed WebSocket is left alone.
        """
        ...


_PIP: Final = {
    "aiohttp": "traffik-core[aiohttp]",
    "channels": "traffik-core[django]",
    "django": "traffik-core[django]",
    "fastapi": "traffik-core[fastapi]",
    "rest_framework": "traffik-core[django]",
    "starlette": "traffik-core[starlette]",
}
"""The extra to install for each framework's package."""

_WRAPPERS: Final = {
    "scope": ("type", "traffik_asgi.ASGIRequest", "asgi"),
    "environ": ("REQUEST_METHOD", "traffik_wsgi.WSGIRequest", "wsgi"),
    "env": ("REQUEST_METHOD", "traffik_wsgi.WSGIRequest", "wsgi"),
}
"""The dicts of ASGI and WSGI by their names in requests of frameworks: a key, what to make of it, and its extra."""

_SHOWN: Final = 100
"""The most characters of a connection in an error. A dict of WSGI has thousands."""

_by_type: dict[type, Adapter] = {}
_registered: dict[str, Adapter] = {}
_entry_points: dict[str, EntryPoint] | None = None


def register_adapter(connection_type: type | str, adapter: Adapter) -> None:
    """Use `adapter` for connections of `connection_type` (a class or its dotted name) and of its subclasses.

    It is for adapters without an entry point, and takes precedence over an adapter with one.
    """
    _registered[connection_type if isinstance(connection_type, str) else _dotted(connection_type)] = adapter
    _by_type.clear()


def adapter_of(connection: object) -> Adapter:
    """The adapter for `connection`.

    Raises:
        AdapterNotFoundError: no adapter knows its class. The message says what to install or to give.
    """
    try:
        return _by_type[type(connection)]
    except KeyError:
        return _find(connection)


def socket_adapter_of(connection: object) -> SocketAdapter | None:
    """The adapter for `connection` if it carries messages; else None.

    Raises:
        AdapterNotFoundError: no adapter knows its class.
        ConfigurationError: its adapter lacks methods of `SocketAdapter`.
    """
    adapter = adapter_of(connection)
    if not adapter.websocket:
        return None
    missing = [name for name in ("accepted", "pause", "close") if not hasattr(adapter, name)]
    if missing:
        raise ConfigurationError(
            f"{adapter!r} cannot deal with floods: it has no {', '.join(missing)}; see SocketAdapter"
        )
    return cast("SocketAdapter", adapter)


def load_adapters() -> None:
    """Load every installed adapter whose framework is in use, so that the first request does not have to.

    Warns if the other project named traffik is installed, since its files may have replaced ours.
    """
    if _entry_points is None:
        misconfiguration.other_distribution()
    for name in _names():
        if name.partition(".")[0] in sys.modules:
            _load(name)


def subapps_of(app: object) -> list[object]:
    """The applications mounted in `app`, at any depth, each once, nearest first."""
    found = [app]
    for each in found:
        for adapter in {id(adapter): adapter for adapter in _registered.values()}.values():
            found += [sub for sub in adapter.subapps(each) if all(sub is not known for known in found)]
    return found[1:]


def check_app(app: object) -> None:
    """Look for mistakes in how `app` and the applications mounted in it use throttles.

    Raises:
        ConfigurationError: something in it cannot work.
    """
    load_adapters()
    checks = {getattr(check, "__func__", check): check for each in _registered.values() if (check := _check_of(each))}
    for each in (app, *subapps_of(app)):
        for check in checks.values():
            check(each)


def _check_of(adapter: object) -> Callable[[object], None] | None:
    check: Callable[[object], None] | None = getattr(adapter, "check", None)
    return check


def injected(*, websocket: bool) -> type | None:
    """The class of connections that dependency injection hands over; None if no framework in use does that.

    Of several, an installed one goes before a registered one. (Throttles of an adapter's package, such as
    `traffik_starlette.HTTPThrottle`, name their class.)
    """
    load_adapters()
    for name in sorted(_registered, key=lambda name: name not in _names()):
        adapter = _registered[name]
        if adapter.websocket is websocket and adapter.injects is not None:
            return adapter.injects
    return None


def check_injection() -> None:
    """Check that FastAPI, if it is in use, can hand connections to a throttle.

    Raises:
        AdapterNotFoundError: FastAPI is in use, and there is no adapter for it. Without one it would look for the
            throttle's arguments in the query, and answer every request with status 422.
    """
    if "fastapi" in sys.modules:
        raise AdapterNotFoundError(f"no adapter for FastAPI: pip install '{_PIP['fastapi']}'")


def _find(connection: object) -> Adapter:
    for cls in type(connection).__mro__:
        name = _dotted(cls)
        if name in _registered or name in _names():
            adapter = _by_type[type(connection)] = _load(name)
            return adapter
    shown = describe(connection)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    raise AdapterNotFoundError(f"no adapter for {shown} ({_dotted(type(connection))}): {_mend(connection)}")


def _mend(connection: object) -> str:
    """The advice for a connection that no adapter knows."""
    package = _root(type(connection).__module__)
    installed = {_root(entry.value) for name, entry in _names().items() if _root(name) == package}
    known = [name for name, entry in _names().items() if _root(entry.value) in installed]
    if known:
        return f"its adapter is installed, and takes {' or '.join(sorted(known))}"
    if package in _PIP:
        return f"pip install '{_PIP[package]}'"
    for name, (key, wrapper, extra) in _WRAPPERS.items():
        plain = connection if isinstance(connection, dict) else getattr(connection, name, None)
        if isinstance(plain, dict) and key in plain:
            where = name if plain is connection else f"request.{name}"
            return f"give {wrapper}({where}), after pip install 'traffik-core[{extra}]'"
    if isinstance(connection, str):
        return "a throttle limits the connections of a framework; for anything with a name, use a Limiter"
    if isinstance(connection, FunctionType):
        return "a throttle is no decorator: write @throttled(throttle), from the package of the framework"
    return "give the connection your framework hands you"


def _root(dotted: str) -> str:
    return dotted.partition(".")[0]


def _load(name: str) -> Adapter:
    if name not in _registered:
        adapter: Adapter = _names()[name].load()
        _registered[name] = adapter
    return _registered[name]


def _names() -> dict[str, EntryPoint]:
    global _entry_points  # noqa: PLW0603 - read once, when the first connection or store needs them
    if _entry_points is None:
        from importlib.metadata import entry_points

        _entry_points = {entry.name: entry for entry in entry_points(group=GROUP)}
    return _entry_points


def _dotted(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
