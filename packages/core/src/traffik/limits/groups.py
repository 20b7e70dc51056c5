"""Limits by their uids: one, a group or all of them get a rule, are disabled and enabled, at any time.

What is said of a pattern holds for the limits that there are and for those made later, so that whoever says it need not
know which modules have been loaded. Limits are known for as long as somebody holds them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
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
"""What was said last of each pattern, in the order it was said."""

if hasattr(os, "register_at_fork"):  # A child is not to inherit a lock that nobody in it will give back.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Group:
    """The limits whose uid matches a pattern, those that are there and those to come; iterated, those that are there.

    group("api:*").disable()
    """

    __slots__ = ("pattern",)

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def __iter__(self) -> Iterator[Limit]:
        return iter([limit for limit in uids.held() if fnmatchcase(limit.uid, self.pattern)])

    def add_rule(self, rule: Rule) -> None:
        """Add `rule` to every throttle of the group, as `Throttle.add_rule`; a `Limiter` has no path to ask for.

        Raises:
            TypeError: it is no rule.
        """
        if not isinstance(rule, Rule):
            raise TypeError(f"rules are made as Rule('/api/**'), not {describe(rule)}")
        with _lock:
            if (self.pattern, rule) not in _rules:
                _rules.append((self.pattern, rule))
            for limit in self:
                limit.add_rule(rule)

    def remove_rule(self, rule: Rule) -> None:
        """Take `rule` back from every throttle of the group that has it, and from those to come."""
        with _lock:
            if (self.pattern, rule) in _rules:
                _rules.remove((self.pattern, rule))
            for limit in self:
                limit.remove_rule(rule)

    def disable(self) -> None:
        """Let every limit of the group admit everything and count nothing, until it is enabled, alone or in a group."""
        self._switch(on=False)

    def enable(self) -> None:
        """Let every limit of the group count again, from where it stood; those that were disabled alone too."""
        self._switch(on=True)

    def _switch(self, *, on: bool) -> None:
        with _lock:
            if self.pattern == "*":
                _switches.clear()  # none of them says anything any more
            _switches.pop(self.pattern, None)
            _switches[self.pattern] = on
            for limit in self:
                (limit.enable if on else limit.disable)()

    def __repr__(self) -> str:
        return f"group({self.pattern!r})"


def group(pattern: str) -> Group:
    """The limits whose uid matches `pattern`: ``"login"`` is one, ``"api:*"`` a group, ``"*"`` are all.

    Args:
        pattern: ``*`` is any text, ``?`` one character, ``[ab]`` one of several, in that case (`fnmatch.fnmatchcase`).

    Raises:
        TypeError, ValueError: it is no text, or empty.
    """
    return Group(check_pattern(pattern))


def join(limit: Limit) -> None:
    """Let a new limit, which `uids` knows already, have what was said of its groups before."""
    with _lock:
        for pattern, rule in _rules:
            if fnmatchcase(limit.uid, pattern):
                limit.add_rule(rule)
        said = [on for pattern, on in _switches.items() if fnmatchcase(limit.uid, pattern)]
        if said and not said[-1]:
            limit.disable()


def forget_groups() -> None:
    """Forget what was said of groups, so that limits made from now on are as they are made; for tests."""
    with _lock:
        _rules.clear()
        _switches.clear()
