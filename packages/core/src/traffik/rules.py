"""Where a throttle applies: by path, method and predicate. Pure: what a predicate answers is asked by the recipes.

A pattern is read by segments: ``*`` stands for one segment or a part of one, ``**`` for any number of them. No client
escapes a limit by another spelling of a path: a rule that applies a throttle is tried on the path as it came and on its
normal form, one match is enough; a rule that lets requests by has to match both.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Final, NamedTuple, TypeAlias

from traffik._callables import Callback, callback
from traffik.descriptions import describe

__all__ = ["Questions", "Rule", "RuleSet", "When", "normal_path", "rule_set"]

When: TypeAlias = Callable[..., bool | Awaitable[bool]]
"""What an argument named `when` takes: a function of the connection and the context, sync or async."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A method (RFC 9110, section 9.1)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Some requests, and whether a throttle is for them or lets them by.

        Rule("/api/**", methods=["POST"])
        Rule("/health", bypass=True)

    Args:
        path: a pattern for the whole path, percent-decoded, with the prefixes of mounted applications, without the
            query: ``*`` is one segment or a part of one, ``**`` any number of segments, none included, and all else is
            itself; a slash at the end makes no difference. Or a compiled regular expression, which has to match the
            whole path (`re.Pattern.fullmatch`); clients send long paths, so it should take linear time. None for all.
        methods: the methods it is for, in either case; GET means HEAD too. None of them means all.
        when: asked with ``(connection, context)``, or as many of them as it takes, once path and method match.
        bypass: whether the throttle lets these requests by, and counts nothing; a bypass goes before all else.

    Raises:
        TypeError: an argument is none of the above.
        ValueError: the path is no pattern, a method is no method, or nothing is asked for.
    """

    path: str | re.Pattern[str] | None = None
    _: KW_ONLY
    methods: Collection[str] = ()
    when: When | None = None
    bypass: bool = False
    predicate: Callback | None = field(init=False, repr=False, compare=False)
    _methods: frozenset[str] = field(init=False, repr=False, compare=False)
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.path is None and not self.methods and self.when is None:
            raise ValueError(
                "a rule is about a path, methods or a predicate: Rule('/api/**'); "
                "without rules a throttle is for everything, and disable() switches it off"
            )
        if not isinstance(self.bypass, bool):
            raise TypeError(f"bypass is True or False, not {self.bypass!r}")
        set_field = object.__setattr__
        methods = _methods(self.methods)
        set_field(self, "methods", methods)
        set_field(self, "_methods", methods | {"HEAD"} if "GET" in methods else methods)
        set_field(self, "_pattern", _compiled(self.path))
        offered = ("connection", "context")
        predicate = None if self.when is None else callback("the predicate of a rule", self.when, offered)
        set_field(self, "predicate", predicate)

    def matches(self, method: str, path: str) -> bool:
        """Whether a request of `method` for `path`, percent-decoded, is one of these; the predicate is not asked."""
        if self._methods and method not in self._methods and method.upper() not in self._methods:
            return False
        if self._pattern is None:
            return True
        found = self._pattern.fullmatch
        if not self.bypass:
            if found(path):
                return True
            if not _is_odd(path) and isinstance(self.path, str):
                return False  # a slash at the end makes no difference to a pattern
            bare = normal_path(path)
            return found(bare) is not None or found(f"{bare}/") is not None
        if not found(path):
            return False
        if not _is_odd(path):
            return True
        # With the slash that the path has, so that a regular expression may ask for it.
        bare = normal_path(path)
        return found(f"{bare}/" if path.endswith("/") and bare != "/" else bare) is not None


class Questions(NamedTuple):
    """What is still to be asked of a request: it passes if a bypass says yes; else one of `applies` has to.

    Attributes:
        bypasses: predicates of rules that let it by.
        applies: predicates of rules that apply the throttle; empty if it is known to apply.
    """

    bypasses: tuple[Callback, ...]
    applies: tuple[Callback, ...]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one throttle: it applies if no bypass matches and, if there are others, at least one of those does.

    Attributes:
        rules: all of them, each once, in the order they came.
    """

    rules: tuple[Rule, ...] = ()
    _bypasses: tuple[Rule, ...] = field(init=False, repr=False, compare=False)
    _applies: tuple[Rule, ...] = field(init=False, repr=False, compare=False)
    _asks: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for rule in self.rules:
            if not isinstance(rule, Rule):
                raise TypeError(f"rules are made as Rule('/api/**'), not {describe(rule)}")
        each = tuple(rule for place, rule in enumerate(self.rules) if rule not in self.rules[:place])
        cheap_first = sorted(each, key=lambda rule: rule.predicate is not None)
        object.__setattr__(self, "rules", each)
        object.__setattr__(self, "_bypasses", tuple(rule for rule in cheap_first if rule.bypass))
        object.__setattr__(self, "_applies", tuple(rule for rule in cheap_first if not rule.bypass))
        object.__setattr__(self, "_asks", any(rule.predicate for rule in each))

    def with_rule(self, rule: Rule) -> RuleSet:
        """These and `rule`.

        Raises:
            TypeError: it is no rule.
        """
        return RuleSet((*self.rules, rule))

    def without_rule(self, rule: Rule) -> RuleSet | None:
        """These but for `rule`; None if there are none left."""
        return rule_set(tuple(each for each in self.rules if each != rule))

    def judge(self, method: str, path: str) -> bool | Questions:
        """Whether the throttle applies to a request of `method` for `path`, or what is to be asked to know."""
        if self._asks:
            return self._sift(method, path)
        for rule in self._bypasses:
            if rule.matches(method, path):
                return False
        for rule in self._applies:
            if rule.matches(method, path):
                return True
        return not self._applies

    def _sift(self, method: str, path: str) -> bool | Questions:
        """`judge` where there are predicates."""
        bypasses: list[Callback] = []
        for rule in self._bypasses:
            if rule.matches(method, path):
                if rule.predicate is None:
                    return False
                bypasses.append(rule.predicate)
        applies = _predicates(self._applies, method, path)
        if applies is None:
            return False
        return Questions(tuple(bypasses), applies) if bypasses or applies else True


def rule_set(given: Rule | Iterable[Rule]) -> RuleSet | None:
    """One rule or several as a set; None if there are none.

    Raises:
        TypeError: something else is among them.
    """
    if isinstance(given, str) or not isinstance(given, Rule | Iterable):
        raise TypeError(f"rules are made as Rule('/api/**'), not {describe(given)}")
    each = (given,) if isinstance(given, Rule) else tuple(given)
    return RuleSet(each) if each else None


def normal_path(path: str) -> str:
    """The normal form of a percent-decoded path: repeated slashes are one, ``.`` and ``..`` are resolved.

    It begins with a slash, and ends with one only if it is no more than that. As in `posixpath.normpath`, by which file
    servers go, slashes come first: ``/a//../b`` is ``/b``. What follows a semicolon belongs to its segment.
    """
    if not _is_odd(path):
        return path.rstrip("/") or "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/" + "/".join(kept)


def _is_odd(path: str) -> bool:
    """Whether a path may have another normal form, but for a slash at its end."""
    return "//" in path or "/." in path or not path.startswith("/")


def _predicates(rules: Iterable[Rule], method: str, path: str) -> tuple[Callback, ...] | None:
    """What is to be asked to know whether one of `rules` holds, nothing if one does; None if none can."""
    asked: list[Callback] = []
    there_are = False
    for rule in rules:
        there_are = True
        if rule.matches(method, path):
            if rule.predicate is None:
                return ()
            asked.append(rule.predicate)
    return tuple(asked) if asked or not there_are else None


def _methods(given: Collection[str]) -> frozenset[str]:
    if isinstance(given, str) or not isinstance(given, Collection):
        raise TypeError(f"methods are several, such as ['GET', 'POST'], not {describe(given)}")
    for method in given:
        if not isinstance(method, str) or not _TOKEN.fullmatch(method):
            raise ValueError(f"{method!r} is no method of HTTP; one looks like 'POST'")
    return frozenset(method.upper() for method in given)


def _compiled(path: object) -> re.Pattern[str] | None:
    if path is None:
        return None
    if isinstance(path, re.Pattern):
        if not isinstance(path.pattern, str):
            raise TypeError(f"paths are text, so the regular expression is too, not {describe(path)}")
        return path
    if not isinstance(path, str):
        raise TypeError(f"a path is a pattern such as '/api/**' or a compiled regular expression, not {describe(path)}")
    if not path.startswith("/"):
        raise ValueError(f"the pattern {describe(path)} does not begin with a slash, as every path does: '/{path}'")
    bare = normal_path(path)
    if bare != (path.rstrip("/") or "/") or path.endswith("//"):
        raise ValueError(f"no path in normal form matches the pattern {describe(path)}; write {bare!r}")
    segments = bare.split("/")[1:]
    for segment in segments:
        if "**" in segment and segment != "**":
            raise ValueError(
                f"in the pattern {describe(path)}, ** is a part of {segment!r}; it stands for whole segments: '/**/'"
            )
    return re.compile(_translated(segments), re.DOTALL)


def _translated(segments: list[str]) -> str:
    """The regular expression of a pattern.

    Every part takes the first place where it fits, and keeps it (an atomic group): with wildcards the first is as good
    as any other, and so a path is gone through once for each part, whatever it is. Only the last part has to end where
    the path ends.
    """
    if segments == [""]:
        return "/"
    parts: list[list[str]] = [[]]
    for segment in segments:
        if segment == "**":
            parts.append([])
        else:
            parts[-1].append(segment)
    first, *rest = ["".join(map(_segment, part)) for part in parts]
    if not rest:
        return f"{first}/?"
    *middle, last = rest
    anywhere = "".join(f"(?>(?:/.*?)??{part})" for part in middle if part)
    return f"{first}{anywhere}(?:/.*)?{last and f'{last}/?'}"


def _segment(segment: str) -> str:
    """The regular expression of one segment, with the slash before it."""
    if segment == "*":
        return "/(?>[^/]+)"
    first, *rest = [re.escape(text) for text in segment.split("*")]
    if not rest:
        return f"/{first}(?=/|\\Z)"
    *middle, last = rest
    return f"/(?>{first}{''.join(f'(?>[^/]*?{text})' for text in middle)}[^/]*{last}(?=/|\\Z))"
