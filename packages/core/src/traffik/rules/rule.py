"""Rules: which requests a throttle applies to, by path, route, method and predicate. The hit calls the predicates.

No client escapes a limit by another spelling of a path. A rule that applies a throttle matches if one reading of the
path does (see `traffik.rules.paths`), a bypass only if all of them do.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Final, NamedTuple, TypeAlias

from traffik.model.callables import Callback, callback
from traffik.model.descriptions import describe
from traffik.rules.paths import compile_pattern, readings

__all__ = ["PendingPredicates", "Rule", "RuleSet", "When", "rule_set"]

When: TypeAlias = Callable[..., bool | Awaitable[bool]]
"""The type of `when`: a function of the connection and the context, sync or async."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A method (RFC 9110, section 9.1)."""

_VERDICTS: Final = 512
"""How many verdicts a set of rules keeps."""

_LONGEST: Final = 160
"""Characters of a method and path whose verdict is kept; longer ones are judged each time."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Some requests, and whether a throttle applies to them or lets them pass.

        Rule("/api/**", methods=["POST"])
        Rule(route="/users/{id}/orders")
        Rule("/health", bypass=True)

    Args:
        path: a pattern for the whole path, percent-decoded, with the prefixes of mounted applications, without the
            query. ``*`` stands for one segment or a part of one, ``**`` for any number of segments, everything else for
            itself; a slash at the end makes no difference. Or a compiled regular expression that matches the whole path
            (`re.Pattern.fullmatch`), where the dot of an applying rule matches newlines too; clients send long paths,
            so it should take linear time. None means all paths.
        route: the template of a route, exactly as it was given to the framework, with the prefixes of mounted
            applications: ``"/users/{id}/orders"``. A request that no route matches has no route. None means all.
        methods: the methods, in either case; GET means HEAD too. Empty means all.
        when: a function of ``(connection, context)``, or of as many of them as it takes, that is called once path,
            route and method match.
        bypass: whether the throttle lets these requests pass without counting them; a bypass wins over all other rules.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the path is not a pattern, a method is not a method, or the rule has no condition.
    """

    path: str | re.Pattern[str] | None = None
    _: KW_ONLY
    route: str | None = None
    methods: Collection[str] = ()
    when: When | None = None
    bypass: bool = False
    predicate: Callback | None = field(init=False, repr=False, compare=False)
    _methods: frozenset[str] = field(init=False, repr=False, compare=False)
    _expression: bool = field(init=False, repr=False, compare=False)
    _found: Callable[[str], object] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.path is None and self.route is None and not self.methods and self.when is None:
            raise ValueError(
                "a rule is about a path, a route, methods or a predicate: Rule('/api/**'); "
                "without rules a throttle is for everything, and disable() switches it off"
            )
        if not isinstance(self.bypass, bool):
            raise TypeError(f"bypass is True or False, not {self.bypass!r}")
        if not isinstance(self.route, str | None):
            raise TypeError(f"a route is the template of one, such as '/users/{{id}}/orders', not {self.route!r}")
        set_field = object.__setattr__
        methods = _methods(self.methods)
        set_field(self, "methods", methods)
        set_field(self, "_methods", methods | {"HEAD"} if "GET" in methods else methods)
        set_field(self, "_expression", isinstance(self.path, re.Pattern))
        set_field(self, "_found", None if self.path is None else _matcher(self.path, self.bypass))
        offered = ("connection", "context")
        predicate = None if self.when is None else callback("the predicate of a rule", self.when, offered)
        set_field(self, "predicate", predicate)

    def matches(self, method: str, path: str, route: str | None = None) -> bool:
        """Whether the rule matches a request of `method` for the percent-decoded `path` on `route`.

        The predicate is not called.
        """
        return self.matches_readings(method, path, route, readings(path))

    def matches_readings(self, method: str, path: str, route: str | None, forms: tuple[str, ...]) -> bool:
        """`matches`, for a path whose readings are `forms`."""
        if self._methods and method not in self._methods and method.upper() not in self._methods:
            return False
        if self.route is not None and self.route != route:
            return False
        found = self._found
        if found is None:
            return True
        tried = self._with_slashes(path, forms) if self._expression else forms
        if self.bypass:
            for form in tried:
                if not found(form):
                    return False
            return bool(forms)
        for form in tried:
            if found(form):
                return True
        return not forms  # a path without readings may lead anywhere, so a limit applies to it

    def _with_slashes(self, path: str, forms: tuple[str, ...]) -> tuple[str, ...]:
        """The readings for a regular expression, which may ask for a slash at the end."""
        slashed = tuple(f"{form}/" for form in forms)
        if self.bypass:
            return slashed if path.endswith("/") else forms
        return (*forms, *slashed)


class PendingPredicates(NamedTuple):
    """The predicates that decide about a request: it passes if one of `bypasses` is true or none of `applies` is.

    Attributes:
        bypasses: predicates of the bypasses that match.
        applies: predicates of the other rules that match; empty if the throttle applies without them.
    """

    bypasses: tuple[Callback, ...]
    applies: tuple[Callback, ...]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one throttle: it applies if no bypass matches and, if there are other rules, one of those does.

    Attributes:
        rules: all rules, without repetitions, in the order given.
        by_route: whether a rule names a route, so that `judge` needs the request's.
    """

    rules: tuple[Rule, ...] = ()
    by_route: bool = field(init=False, repr=False, compare=False)
    _bypasses: tuple[Rule, ...] = field(init=False, repr=False, compare=False)
    _applies: tuple[Rule, ...] = field(init=False, repr=False, compare=False)
    _verdicts: dict[tuple[str, str, str | None], bool | PendingPredicates] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        for rule in self.rules:
            if not isinstance(rule, Rule):
                raise TypeError(f"rules are made as Rule('/api/**'), not {describe(rule)}")
        each = tuple(rule for place, rule in enumerate(self.rules) if rule not in self.rules[:place])
        object.__setattr__(self, "rules", each)
        object.__setattr__(self, "by_route", any(rule.route is not None for rule in each))
        object.__setattr__(self, "_bypasses", tuple(rule for rule in each if rule.bypass))
        object.__setattr__(self, "_applies", tuple(rule for rule in each if not rule.bypass))

    def with_rule(self, rule: Rule) -> RuleSet:
        """These rules and `rule`.

        Raises:
            TypeError: `rule` is not a `Rule`.
        """
        return RuleSet((*self.rules, rule))

    def without_rule(self, rule: Rule) -> RuleSet | None:
        """These rules without `rule`; None if none are left."""
        return rule_set(tuple(each for each in self.rules if each != rule))

    def judge(self, method: str, path: str, route: str | None = None) -> bool | PendingPredicates:
        """Whether the throttle applies to a request, or the predicates that decide it.

        Args:
            method: the method of the request.
            path: its path, percent-decoded.
            route: the template of its route; needed only if `by_route`.
        """
        key = method, path, route
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._decide(method, path, route)
            if len(method) + len(path) <= _LONGEST:
                if len(self._verdicts) >= _VERDICTS:
                    self._verdicts.clear()
                self._verdicts[key] = verdict
        return verdict

    def _decide(self, method: str, path: str, route: str | None) -> bool | PendingPredicates:
        forms = readings(path)
        bypasses: tuple[Callback, ...] = ()
        for rule in self._bypasses:
            if rule.matches_readings(method, path, route, forms):
                if rule.predicate is None:
                    return False
                bypasses += (rule.predicate,)
        applies: tuple[Callback, ...] = ()
        for rule in self._applies:
            if rule.matches_readings(method, path, route, forms):
                if rule.predicate is None:
                    return PendingPredicates(bypasses, ()) if bypasses else True
                applies += (rule.predicate,)
        if self._applies and not applies:
            return False
        return PendingPredicates(bypasses, applies) if bypasses or applies else True


def rule_set(given: Rule | Iterable[Rule]) -> RuleSet | None:
    """One rule or several as a set; None if there are none.

    Raises:
        TypeError: `given` has something other than rules in it.
    """
    if isinstance(given, str) or not isinstance(given, Rule | Iterable):
        raise TypeError(f"rules are made as Rule('/api/**'), not {describe(given)}")
    each = (given,) if isinstance(given, Rule) else tuple(given)
    return RuleSet(each) if each else None


def _methods(given: Collection[str]) -> frozenset[str]:
    if isinstance(given, str) or not isinstance(given, Collection):
        raise TypeError(f"methods are several, such as ['GET', 'POST'], not {describe(given)}")
    for method in given:
        if not isinstance(method, str) or not _TOKEN.fullmatch(method):
            raise ValueError(f"{method!r} is no method of HTTP; one looks like 'POST'")
    return frozenset(method.upper() for method in given)


def _matcher(path: object, bypass: bool) -> Callable[[str], object]:
    """A function that is true of the readings that a pattern or an expression matches."""
    if isinstance(path, str):
        return compile_pattern(path)
    if not isinstance(path, re.Pattern):
        raise TypeError(f"a path is a pattern such as '/api/**' or a compiled regular expression, not {describe(path)}")
    if not isinstance(path.pattern, str):
        raise TypeError(f"paths are text, so the regular expression is too, not {describe(path)}")
    # Routers let a parameter contain a newline, so the dot of an expression that limits must match one too.
    return (path if bypass else re.compile(path.pattern, path.flags & ~re.DEBUG | re.DOTALL)).fullmatch
