"""Checks in the first hits of a throttle whether its identifier tells clients apart."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from traffik.backends import binding
from traffik.identities import is_shared
from traffik.identities.proxies import DENIED, EXEMPTED
from traffik.identities.trust import address_of
from traffik.model.callables import Callback, then
from traffik.model.errors import ConfigurationError
from traffik.notices.misconfiguration import one_identity

if TYPE_CHECKING:
    from traffik.limits.limit import Limit

__all__ = ["watched"]

_HITS: Final = 100
"""The number of hits that are checked."""

_CLIENTS: Final = 20
"""The number of clients with the same identity from which a notice is given."""


def watched(throttle: Limit, identifier: Callback) -> Callback:
    """`identifier`, with a notice if all clients have the same identity. After some hits `throttle` gets it back."""
    if is_shared(identifier.function):
        return identifier
    return replace(identifier, call=_Watch(throttle, identifier))


class _Watch:
    """Takes the place of the identifier during the check."""

    __slots__ = ("_clients", "_first", "_identifier", "_left", "_throttle")

    def __init__(self, throttle: Limit, identifier: Callback) -> None:
        self._throttle = ref(throttle)  # weak, since the throttle refers to this object
        self._identifier = identifier
        self._left = _HITS
        self._first: object = None
        self._clients: set[str] = set()

    def __call__(self, connection: Any, context: object) -> Any:
        return then(self._identifier.call(connection, context), partial(self._saw, connection))

    def _saw(self, connection: Any, identity: object) -> object:
        self._left -= 1
        if identity is not EXEMPTED and identity is not DENIED:
            self._first = identity if self._first is None else self._first
            with suppress(ConfigurationError):  # without an address there is nothing to compare with
                self._clients.add(address_of(connection))
        one = self._first is None or self._first == identity or identity is EXEMPTED or identity is DENIED
        if not one or self._left <= 0 or len(self._clients) >= _CLIENTS:
            self._end(one)
        return identity

    def _end(self, one: bool) -> None:
        throttle = self._throttle()
        if throttle is None:
            return
        throttle.identifier = self._identifier
        binding.add_watcher(throttle)
        if one and len(self._clients) >= _CLIENTS:
            one_identity(throttle.uid, self._identifier.name, _CLIENTS)
