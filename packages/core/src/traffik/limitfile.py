"""Limits as data: ``limits.toml``, read by an application and by a replay, so that the file tried is the file deployed.

    [[throttle]]
    uid = "api:data"
    rate = "100/min"

Its form is published beside this module, as ``limits.schema.json``. Whatever is wrong in a file is said with the line
it stands in and what mends it; all of the file is checked before any of it is used.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from traffik.costs import check_cost
from traffik.errors import ConfigurationError
from traffik.keys import check_uid
from traffik.rates import Rate, parse_rates
from traffik.rules import Rule
from traffik.strategies import Strategy, plan
from traffik.strategies.named import strategy_named

if TYPE_CHECKING:
    from traffik.backends.base import Backend
    from traffik.throttles import HTTPThrottle, WebSocketThrottle

__all__ = ["SCHEMA", "LimitEntry", "load_throttles", "read_limits"]

SCHEMA: Final = Path(__file__).with_name("limits.schema.json")
"""Where the form of a file of limits is published, as JSON Schema (draft 2020-12)."""

_THROTTLE: Final = ("uid", "rate", "strategy", "burst", "debt", "cost", "key", "websocket", "rule")
_RULE: Final = ("path", "methods", "bypass")
_KEY: Final = re.compile(r"ip|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LimitEntry:
    """One throttle of a file.

    Attributes:
        uid: its name.
        rates: what it counts, all at once; empty if nothing limits.
        strategy: how.
        cost: units of quota that a request takes, at least 1.
        key: whose quota it is: ``ip`` or ``header:NAME``.
        websocket: whether it guards WebSockets.
        rules: which requests it is for; none of them means all.
        line: where it stands in the file, from 1.
    """

    uid: str
    rates: tuple[Rate, ...]
    strategy: Strategy
    cost: int
    key: str
    websocket: bool
    rules: tuple[Rule, ...]
    line: int


def load_throttles(
    path: str | Path, *, backend: Backend | None = None
) -> dict[str, HTTPThrottle[Any] | WebSocketThrottle[Any]]:
    """The throttles that the file at `path` describes, by their uids, in its order.

    Args:
        path: of the file.
        backend: the store of all of them; if None, as for any throttle that names none.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong; says in which line, and what mends it.
    """
    from traffik.throttles import HTTPThrottle, WebSocketThrottle

    made: dict[str, HTTPThrottle[Any] | WebSocketThrottle[Any]] = {}
    for entry in read_limits(path):
        kind = WebSocketThrottle if entry.websocket else HTTPThrottle
        made[entry.uid] = kind(
            entry.uid,
            entry.rates or "unlimited",
            strategy=entry.strategy,
            cost=entry.cost,
            identifier=_identifier(entry.key),
            rules=entry.rules,
            backend=backend,
        )
    return made


def read_limits(path: str | Path) -> tuple[LimitEntry, ...]:
    """What the file at `path` describes.

    Raises:
        ConfigurationError: as for `load_throttles`.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot read {path}: {reason}") from None
    return _Reader(str(path), text).entries()


def _identifier(key: str) -> Callable[[Any], str] | None:
    """What finds the client; one that does not send the header is counted by its address."""
    if key == "ip":
        return None
    from traffik.adapters import adapter_of
    from traffik.clients import client_identity

    name = key.partition(":")[2].lower()

    def identifier(connection: Any) -> str:
        adapter = adapter_of(connection)
        values = adapter.headers(connection, name)
        if len(values) == 1 and values[0]:
            return f"header:{name}:{values[0]}"
        peer = adapter.peer(connection)
        if peer is None:
            raise ConfigurationError(f"the connection has neither a header {name!r} nor an address: give it one")
        return client_identity(peer)

    return identifier


class _Reader:
    """Reads one file, and knows the lines that things stand in."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._lines = _places(text)
        try:
            self._content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"line (\d+)", str(error))
            line = found[1] if found else text.count("\n") + 1
            raise ConfigurationError(f"{name}:{line}: this is not TOML: {error}") from None

    def entries(self) -> tuple[LimitEntry, ...]:
        """Every throttle, checked."""
        for key in self._content:
            if key != "throttle":
                self._refuse((key,), f"{key!r} is not known here: a file of limits holds [[throttle]] tables")
        tables = self._tables(self._content, (), "throttle")
        if not tables:
            self._refuse((), "there is no throttle in it: begin one with [[throttle]]")
        entries = tuple(self._entry(table, ("throttle", place)) for place, table in enumerate(tables))
        seen: dict[str, int] = {}
        for place, entry in enumerate(entries):
            first = seen.setdefault(entry.uid, entry.line)
            if first != entry.line:
                where = ("throttle", place, "uid")
                self._refuse(where, f"the uid {entry.uid!r} is that of the throttle in line {first}: give it another")
        return entries

    def _entry(self, table: Mapping[str, Any], where: tuple[str | int, ...]) -> LimitEntry:
        self._known(table, where, _THROTTLE)
        for key in ("uid", "rate"):
            if key not in table:
                example = 'uid = "api"' if key == "uid" else 'rate = "100/min"'
                self._refuse(where, f"this throttle has no {key}: add {example}")
        rules = self._tables(table, where, "rule")
        rates = self._made(where, "rate", table["rate"], _rates)
        strategy = self._strategy(table, where)
        self._made(where, "rate", rates, lambda rates: plan(strategy, rates))
        return LimitEntry(
            self._made(where, "uid", table["uid"], check_uid),
            rates,
            strategy,
            self._made(where, "cost", table.get("cost", 1), _cost),
            self._made(where, "key", table.get("key", "ip"), _key),
            self._made(where, "websocket", table.get("websocket", False), _flag),
            tuple(self._rule(rule, (*where, "rule", place)) for place, rule in enumerate(rules)),
            self._line(where),
        )

    def _strategy(self, table: Mapping[str, Any], where: tuple[str | int, ...]) -> Strategy:
        name = self._made(where, "strategy", table.get("strategy", "sliding-window"), _text)
        numbers = {key: self._made(where, key, table[key], _number) for key in ("burst", "debt") if key in table}
        for key, number in numbers.items():
            self._made(where, key, number, lambda number, key=key: strategy_named(name, **{key: number}))
        return self._made(where, "strategy", name, lambda name: strategy_named(name, **numbers))

    def _rule(self, table: Mapping[str, Any], where: tuple[str | int, ...]) -> Rule:
        self._known(table, where, _RULE)
        path, methods = table.get("path"), table.get("methods", ())
        bypass = self._made(where, "bypass", table.get("bypass", False), _flag)
        if path is not None:
            self._made(where, "path", path, lambda path: Rule(_text(path)))
        if methods != ():
            self._made(where, "methods", methods, lambda methods: Rule(methods=_several(methods)))
        return self._made(where, "", None, lambda _: Rule(path, methods=tuple(methods), bypass=bypass))

    def _tables(self, table: Mapping[str, Any], where: tuple[str | int, ...], key: str) -> list[Mapping[str, Any]]:
        found = table.get(key, [])
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            full = ".".join(str(part) for part in (*where, key) if isinstance(part, str))
            self._refuse((*where, key), f"{key!r} is a list of tables: begin each with [[{full}]]")
        return found

    def _known(self, table: Mapping[str, Any], where: tuple[str | int, ...], names: tuple[str, ...]) -> None:
        for key in table:
            if key not in names:
                self._refuse((*where, key), f"{key!r} is not known here; there are {', '.join(names)}")

    def _made(self, where: tuple[str | int, ...], key: str, value: Any, make: Callable[[Any], T]) -> T:
        try:
            return make(value)
        except (ConfigurationError, TypeError, ValueError) as error:
            self._refuse((*where, key) if key else where, str(error))

    def _refuse(self, where: tuple[str | int, ...], why: str) -> NoReturn:
        raise ConfigurationError(f"{self._name}:{self._line(where)}: {why}") from None

    def _line(self, where: tuple[str | int, ...]) -> int:
        """The line of what is at `where`, or of the nearest thing around it that has one."""
        while where and where not in self._lines:
            where = where[:-1]
        return self._lines.get(where, 1)


_HEADER: Final = re.compile(r"\s*\[\[\s*(throttle)\s*(?:\.\s*(rule)\s*)?\]\]")
_PAIR: Final = re.compile(r"""\s*(?:([A-Za-z0-9_-]+)|"([^"]*)"|'([^']*)')\s*[=.]""")
_PLAIN: Final = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+)")


def _places(text: str) -> dict[tuple[str | int, ...], int]:
    """The lines of tables and keys. TOML that says the same in another way is only known by the table around it."""
    places: dict[tuple[str | int, ...], int] = {}
    where: tuple[str | int, ...] = ()
    throttle = rule = -1
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            if header[2]:
                rule += 1
                where = ("throttle", throttle, "rule", rule)
            else:
                throttle, rule = throttle + 1, -1
                where = ("throttle", throttle)
            places.setdefault(where, number)
        elif plain := _PLAIN.match(line):
            where = (plain[1],)
            places.setdefault(where, number)
        elif pair := _PAIR.match(line):
            places.setdefault((*where, next(filter(None, pair.groups()), "")), number)
    return places


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"this is text, in quotes, not {value!r}")
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"this is an integer, not {value!r}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"this is true or false, not {value!r}")
    return value


def _several(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f'methods are a list, such as ["GET", "POST"], not {value!r}')
    return tuple(value)


def _rates(value: object) -> tuple[Rate, ...]:
    if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise TypeError(f'a rate is text, such as "100/min", or a list of texts, not {value!r}')
    return parse_rates(value)


def _cost(value: object) -> int:
    cost = check_cost(value)
    if cost == 0:
        raise ValueError("a cost of 0 takes nothing: let the requests by with a rule that says bypass = true")
    return cost


def _key(value: object) -> str:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise ValueError(f'a key is "ip" or "header:NAME", not {value!r}')
    return value
