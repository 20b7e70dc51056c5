"""Parses a file of limits: text in, throttles as plain values out, or an error with the line and how to fix it.

The whole text is checked before any of it is used. This module is pure; `traffik.throttles.files` reads the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

from traffik.limits.tiers import check_tiers, in_place
from traffik.model.costs import check_cost
from traffik.model.errors import ConfigurationError
from traffik.model.keys import check_uid
from traffik.model.rates import Rate, parse_rates
from traffik.rules.rule import Rule
from traffik.strategies import Plan, Strategy, plan
from traffik.strategies.named import strategy_named

__all__ = ["LimitEntry", "entries_of"]

_THROTTLE: Final = (
    "uid",
    "rate",
    "tiers",
    "default_tier",
    "strategy",
    "burst",
    "debt",
    "cost",
    "key",
    "websocket",
    "rule",
)
_RULE: Final = ("path", "methods", "bypass")
_KEY: Final = re.compile(r"ip|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_Where: TypeAlias = tuple[str | int, ...]
"""The path to a value in the file: names of tables and keys, places in lists."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LimitEntry:
    """One throttle of a file.

    Attributes:
        uid: its name.
        rates: its rates, which all apply; empty if it is unlimited. If it has tiers, those of the default one, or else
            of the first.
        tiers: the rates of each tier by its name; empty if it has no tiers.
        default_tier: the tier of clients that have none; None if each has one.
        strategy: its strategy.
        cost: units of quota that a request takes, at least 1.
        key: what identifies a client: ``ip`` or ``header:NAME``.
        websocket: whether it is for WebSockets.
        rules: the rules of the requests it is for; empty if it is for all.
        line: its line in the file, from 1.
    """

    uid: str
    rates: tuple[Rate, ...]
    tiers: Mapping[str, tuple[Rate, ...]]
    default_tier: str | None
    strategy: Strategy
    cost: int
    key: str
    websocket: bool
    rules: tuple[Rule, ...]
    line: int

    def with_rates_of(self, other: LimitEntry) -> LimitEntry:
        """The same throttle with the rates, or the tiers, of another entry."""
        return replace(self, rates=other.rates, tiers=other.tiers, default_tier=other.default_tier)

    @property
    def plan(self) -> Plan:
        """The plan by which a store counts its `rates`."""
        if not self.tiers:
            return plan(self.strategy, self.rates)
        return plan(self.strategy, in_place(self.rates), varying=True)

    @property
    def shown_tier(self) -> str | None:
        """The tier whose rates `rates` are; None if it has no tiers."""
        return self.default_tier or next(iter(self.tiers), None)


def entries_of(name: str, text: str) -> tuple[LimitEntry, ...]:
    """The throttles that `text`, the content of the file `name`, describes.

    Raises:
        ConfigurationError: something in it is wrong. The message has the line, and says how to fix it.
    """
    return _Reader(name, text).entries()


class _Reader:
    """Reads one file, and finds the line of each value."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._lines = _places(text)
        try:
            self._content = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # besides TOMLDecodeError for a very long number, or deep nesting
            found = re.search(r"line (\d+)", str(error))
            line = found[1] if found else text.count("\n") + 1
            raise ConfigurationError(f"{name}:{line}: this is not TOML: {error}") from None

    def entries(self) -> tuple[LimitEntry, ...]:
        """All throttles, checked."""
        for key in self._content:
            if key != "throttle":
                self._refuse((key,), f"{key!r} is not known here: a file of limits holds [[throttle]] tables")
        tables = self._tables(self._content, (), "throttle")
        if not tables:
            self._refuse((), "there is no throttle in it: begin one with [[throttle]]")
        entries = tuple(self._entry(table, ("throttle", place)) for place, table in enumerate(tables))
        seen: dict[str, int] = {}
        for place, entry in enumerate(entries):
            first = seen.setdefault(entry.uid, place)
            if first != place:
                where, line = ("throttle", place, "uid"), entries[first].line
                self._refuse(where, f"the uid {entry.uid!r} is that of the throttle in line {line}: give it another")
        return entries

    def _entry(self, table: Mapping[str, Any], where: _Where) -> LimitEntry:
        self._known(table, where, _THROTTLE)
        for key, others in (("uid", {"uid"}), ("rate", {"rate", "tiers"})):
            if not others & table.keys():
                example = 'uid = "api"' if key == "uid" else 'rate = "100/min"'
                self._refuse(where, f"this throttle has no {key}: add {example}")
        rules = self._tables(table, where, "rule")
        strategy = self._strategy(table, where)
        tiers, default = self._tiers(table, where, strategy)
        return LimitEntry(
            self._made(where, "uid", table["uid"], check_uid),
            tiers[default or next(iter(tiers))] if tiers else self._counted(where, "rate", table["rate"], strategy),
            tiers,
            default,
            strategy,
            self._made(where, "cost", table.get("cost", 1), _cost),
            self._made(where, "key", table.get("key", "ip"), _key),
            self._made(where, "websocket", table.get("websocket", False), _flag),
            tuple(self._rule(rule, (*where, "rule", place)) for place, rule in enumerate(rules)),
            self._line(where),
        )

    def _tiers(
        self, table: Mapping[str, Any], where: _Where, strategy: Strategy
    ) -> tuple[Mapping[str, tuple[Rate, ...]], str | None]:
        """The rates by tier, and the default tier; nothing if there are no tiers."""
        given, default = table.get("tiers", {}), table.get("default_tier")
        if not isinstance(given, dict) or ("tiers" in table and not given):
            self._refuse(
                (*where, "tiers"), 'tiers are a table of rates: begin it with [throttle.tiers], free = "9/min"'
            )
        if given and "rate" in table:
            self._refuse((*where, "tiers"), "this throttle has a rate and tiers: leave one of the two out")
        tiers = {name: self._counted((*where, "tiers"), name, rate, strategy) for name, rate in given.items()}
        self._made(where, "tiers", tiers.values(), check_tiers)
        if default is not None and (not isinstance(default, str) or default not in tiers):
            known = ", ".join(map(repr, tiers)) or "none: add [throttle.tiers]"
            self._refuse((*where, "default_tier"), f"the default tier is one of the tiers ({known}), not {default!r}")
        return tiers, default

    def _counted(self, where: _Where, key: str, value: object, strategy: Strategy) -> tuple[Rate, ...]:
        """Rates that the strategy can count."""
        rates = self._made(where, key, value, _rates)
        self._made(where, key, rates, lambda rates: plan(strategy, rates))
        return rates

    def _strategy(self, table: Mapping[str, Any], where: _Where) -> Strategy:
        name = self._made(where, "strategy", table.get("strategy", "sliding-window"), _text)
        numbers = {key: self._made(where, key, table[key], _number) for key in ("burst", "debt") if key in table}
        for key, number in numbers.items():
            # each rate alone first, so that an error has the line of its rate
            self._made(where, key, {key: number}, lambda one: strategy_named(name, **one))
        return self._made(where, "strategy", name, lambda name: strategy_named(name, **numbers))

    def _rule(self, table: Mapping[str, Any], where: _Where) -> Rule:
        self._known(table, where, _RULE)
        path, methods = table.get("path"), table.get("methods", ())
        bypass = self._made(where, "bypass", table.get("bypass", False), _flag)
        if path is not None:
            self._made(where, "path", path, lambda path: Rule(_text(path)))
        if methods != ():
            self._made(where, "methods", methods, lambda methods: Rule(methods=_several(methods)))
        return self._made(where, "", None, lambda _: Rule(path, methods=tuple(methods), bypass=bypass))

    def _tables(self, table: Mapping[str, Any], where: _Where, key: str) -> list[Mapping[str, Any]]:
        found = table.get(key, [])
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            full = ".".join(str(part) for part in (*where, key) if isinstance(part, str))
            self._refuse((*where, key), f"{key!r} is a list of tables: begin each with [[{full}]]")
        return found

    def _known(self, table: Mapping[str, Any], where: _Where, names: tuple[str, ...]) -> None:
        for key in table:
            if key not in names:
                close = get_close_matches(key, names, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
                self._refuse((*where, key), f"{key!r} is not known here; {hint}")

    def _made(self, where: _Where, key: str, value: Any, make: Callable[[Any], _T]) -> _T:
        try:
            return make(value)
        except (ConfigurationError, TypeError, ValueError) as error:
            self._refuse((*where, key) if key else where, str(error))

    def _refuse(self, where: _Where, why: str) -> NoReturn:
        raise ConfigurationError(f"{self._name}:{self._line(where)}: {why}") from None

    def _line(self, where: _Where) -> int:
        """The line of the value at `where`, or of the nearest table around it with a known line."""
        while where and where not in self._lines:
            where = where[:-1]
        return self._lines.get(where, 1)


_HEADER: Final = re.compile(r"\s*\[\[\s*(throttle)\s*(?:\.\s*(rule)\s*)?\]\]")
_PAIR: Final = re.compile(r"""\s*(?:([A-Za-z0-9_-]+)|"([^"]*)"|'([^']*)')\s*[=.]""")
_TIERS: Final = re.compile(r"\s*\[\s*throttle\s*\.\s*tiers\s*\]")
_PLAIN: Final = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+)")


def _places(text: str) -> dict[_Where, int]:
    """The lines of tables and keys. For other ways to write TOML, only the line of the table around is known."""
    places: dict[_Where, int] = {}
    where: _Where = ()
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
        elif _TIERS.match(line) and throttle >= 0:
            where = ("throttle", throttle, "tiers")
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
        raise ValueError("a cost of 0 takes nothing: let the requests pass with a rule that has bypass = true")
    return cost


def _key(value: object) -> str:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise ValueError(f'a key is "ip" or "header:NAME", not {value!r}')
    return value
