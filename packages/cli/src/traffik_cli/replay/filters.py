"""Which requests of a log are looked at: ``--only``, ``--where`` and ``--ignore``.

A request is kept if one of the ``--only`` matches it, all of the ``--where`` hold, and its client is in none of the
networks to ignore.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import unquote

from traffik.model.errors import ConfigurationError
from traffik.rules.rule import Rule
from traffik_cli.replay.addresses import address_in
from traffik_cli.replay.batches import Hit, Wanted
from traffik_cli.replay.selectors import Selector, header_key, selector

__all__ = ["Filters", "Where", "filters_of", "only_of", "where_of"]

_Network: TypeAlias = IPv4Network | IPv6Network
_Keeps: TypeAlias = Callable[[Hit], bool]

_IP: Final = Selector("ip")
_KEPT: Final = 50_000
"""Answers that are remembered."""


@dataclass(frozen=True, slots=True)
class Where:
    """A value that a request has, or has not.

    Attributes:
        selector: where the value stands.
        value: the value; ``*`` stands for any characters.
        equal: whether a request with it is kept, or left out.
    """

    selector: Selector
    value: str
    equal: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """The requests that are looked at.

    Attributes:
        only: if there are any, one of them matches.
        where: all of them hold.
        ignored: networks whose clients are left out.
    """

    only: tuple[Rule, ...] = ()
    where: tuple[Where, ...] = ()
    ignored: tuple[_Network, ...] = ()

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """What has to be read of every line."""
        return (*(_IP for _ in self.ignored[:1]), *(each.selector for each in self.where))

    @property
    def request(self) -> bool:
        """Whether method and path have to be read too."""
        return bool(self.only)

    def keeping(self, wanted: Wanted) -> _Keeps | None:
        """What says which hits, that hold what is `wanted`, are kept; None if all are."""
        tests: list[_Keeps] = []
        if self.only:
            tests.append(_cached(self._matches, slice(-2, None)))
        if self.ignored:
            tests.append(_cached(self._outside, wanted.selectors.index(_IP)))
        tests += [_cached(_holds(each), wanted.selectors.index(each.selector)) for each in self.where]
        if not tests:
            return None
        if wanted.bare:
            tests = [_alone(test) for test in tests]
        return lambda hit: all(test(hit) for test in tests)

    def _matches(self, request: tuple[bytes | None, bytes | None]) -> bool:
        method, path = ("" if part is None else part.decode("utf-8", "replace") for part in request)
        return any(rule.matches(method, unquote(path)) for rule in self.only)

    def _outside(self, raw: bytes | None) -> bool:
        found = None if raw is None else address_in(raw.decode("utf-8", "replace"))
        if found is None:
            return True
        address = ip_address(found.partition("%")[0])
        return not any(address in network for network in self.ignored)


def filters_of(only: Sequence[str], where: Sequence[str], ignored: Sequence[str]) -> Filters:
    """The filters that the words of a command spell.

    Raises:
        ConfigurationError: one of them spells none.
    """
    networks: list[_Network] = []
    for text in ignored:
        try:
            networks.append(ip_network(text.strip(), strict=False))
        except ValueError:
            raise ConfigurationError(f"{text!r} is not a network: write 10.0.0.0/8 or 2001:db8::/32") from None
    return Filters(tuple(map(only_of, only)), tuple(map(where_of, where)), tuple(networks))


def only_of(text: str) -> Rule:
    """The requests that ``POST /login``, ``/api/**`` or ``GET,PUT`` spells.

    Raises:
        ConfigurationError: it spells none.
    """
    words = text.split()
    path = words.pop() if words and words[-1].startswith("/") else None
    try:
        if len(words) > 1:
            raise ValueError("too many words")  # noqa: TRY301 - said with the rest of what may be wrong
        return Rule(path, methods=words[0].upper().split(",") if words else ())
    except ValueError as error:
        raise ConfigurationError(f'{text!r} matches no requests: write "POST /login" or "/api/**" ({error})') from None


def where_of(text: str) -> Where:
    """The condition that ``field:status=200`` or ``header:User-Agent!=curl*`` spells.

    Raises:
        ConfigurationError: it spells none.
    """
    match = re.fullmatch(r"((?:field|header):[^=!]+)(!?=)(.*)", text, re.DOTALL)
    if match is None:
        raise ConfigurationError(f"{text!r} is not a condition: write field:NAME=VALUE or header:NAME!=VALUE")
    return Where(selector(match[1].strip()), match[3].strip(), match[2] == "=")


def _holds(where: Where) -> Callable[[bytes | None], bool]:
    pattern = re.compile(re.escape(where.value.encode()).replace(rb"\*", b".*"), re.DOTALL)
    prefix = header_key(where.selector.name, b"") if where.selector.kind == "header" else b""

    def holds(raw: bytes | None) -> bool:
        # A header that is not there is stood in for by the address.
        value = b"" if raw is None or not raw.startswith(prefix) else raw[len(prefix) :]
        return (pattern.fullmatch(value) is not None) == where.equal

    return holds


def _cached(test: Callable[[Hit], bool], place: int | slice) -> _Keeps:
    known: dict[Hit, bool] = {}

    def keeps(hit: Hit) -> bool:
        part = hit[place]
        found = known.get(part)
        if found is None:
            if len(known) >= _KEPT:
                known.clear()
            found = known[part] = test(part)
        return found

    return keeps


def _alone(test: _Keeps) -> _Keeps:
    return lambda hit: test((hit,))
