"""Groups of limits: add rules to all limits whose uids match a pattern, or disable and enable them, at any time.

A call applies to existing limits and to those made later, so it does not matter which modules have been loaded.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from threading import RLock
from typing import TYPE_CHECKING, Final

from traffik.limits import uids
from traffik.model.descriptions import describe
from traffik.model.keys import check_pattern
from traffik.rules.rule import Rule

if TYPE_CHECKING:
    from traffik.limits.limit import Limit

__all__ = ["Group", "forget_groups", "group", "join"]

_lock: Final = RLock()
_rules: list[tuple[str, Rule]] = []
_switches: dict[str, bool] = {}
"""Whether the limits of each pattern are enabled, by the last call for it, in the order of the calls."""

if hasattr(os, "register_at_fork"):  # a child must not inherit a lock that one of the parent's threads holds
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Group:
    """The limits whose uid matches a pattern: existing ones and those made later; made by `group`.

        group("api:*").disable()

    Iteration yields the existing ones.
    """

    __slots__ = ("pattern",)

    def __init__(self, pattern: str) -> None:
        self.pattern: str = pattern

    def __iter__(self) -> Iterator[Limit]:
        return iter([limit for limit in uids.held() if fnmatchcase(limit.uid, self.pattern)])

    def add_rule(self, rule: Rule) -> None:
        """Add `rule` to every throttle of the group, as `Throttle.add_rule`. A `Limiter` ignores rules.

        Raises:
            TypeError: it is not a rule.
        """
        if not isinstance(rule, Rule):
            raise TypeError(f"rules are made as Rule('/api/**'), not {describe(rule)}")
        with _lock:
            if (self.pattern, rule) not in _rules:
                _rules.append((self.pattern, rule))
            for limit in self:
                limit.add_rule(rule)

    def remove_rule(self, rule: Rule) -> None:
        """Remove `rule` from every throttle of the group that has it. Throttles made later do not get it."""
        with _lock:
            if (self.pattern, rule) in _rules:
                _rules.remove((self.pattern, rule))
            for limit in self:
                limit.remove_rule(rule)

    def disable(self) -> None:
        """Disable every limit of the group: it admits everything and counts nothing until it is enabled again."""
        self._switch(on=False)

    def enable(self) -> None:
        """Enable every limit of the group, also limits that were disabled on their own. Earlier usage still counts."""
        self._switch(on=True)

    @contextmanager
    def disabled(self) -> Generator[None, None, None]:
        """Disable the group within the context, including limits made in it. Afterwards, everything is as before."""
        with _lock:
            switches, before = dict(_switches), {limit: limit.enabled for limit in self}
            self.disable()
        try:
            yield
        finally:
            with _lock:
                _switches.clear()
                _switches.update(switches)
                for limit in self:
                    on = before.get(limit, not _is_switched_off(limit.uid))
                    (limit.enable if on else limit.disable)()

    def _switch(self, *, on: bool) -> None:
        with _lock:
            if self.pattern == "*":
                _switches.clear()  # this call overrides all earlier ones
            _switches.pop(self.pattern, None)
            _switches[self.pattern] = on
            for limit in self:
                (limit.enable if on else limit.disable)()

    def __repr__(self) -> str:
        return f"group({self.pattern!r})"


def group(pattern: str) -> Group:
    """The limits whose uid matches `pattern`: ``"login"`` is one limit, ``"api:*"`` a group, ``"*"`` all limits.

    Args:
        pattern: ``*`` matches any text, ``?`` one character, ``[ab]`` one of these; case matters
            (`fnmatch.fnmatchcase`).

    Raises:
        TypeError, ValueError: it is not text, or is empty.
    """
    return Group(check_pattern(pattern))


def join(limit: Limit) -> None:
    """Apply earlier calls on groups to a new limit. It must be registered by `uids.claim` already."""
    with _lock:
        for pattern, rule in _rules:
            if fnmatchcase(limit.uid, pattern):
                limit.add_rule(rule)
        if _is_switched_off(limit.uid):
            limit.disable()


def _is_switched_off(uid: str) -> bool:
    """Whether the last call that applies to a limit with this uid disabled it."""
    switched = [on for pattern, on in _switches.items() if fnmatchcase(uid, pattern)]
    return bool(switched) and not switched[-1]


def forget_groups() -> None:
    """Forget all calls on groups, so that they do not apply to limits made from now on; for tests."""
    with _lock:
        _rules.clear()
        _switches.clear()
