"""Suggested limits as a ``limits.toml``, which `traffik.throttles.files` reads.

The rules of a throttle tell requests apart by path and method. Groups by a field have no rules, so the file says above
each which requests its throttle is for, and the application picks the throttle.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from traffik.model.errors import ConfigurationError
from traffik.rules.rule import Rule
from traffik.strategies.named import STRATEGIES
from traffik_cli.replay.grouping import OTHERS, Grouping
from traffik_cli.replay.scenarios import Trial

__all__ = ["check_writable", "limits_text", "tiers_text"]

_UID: Final = "suggested"
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_NOTHING: Final = "no limit was found that keeps within the target, so there is none to write"
_NO_PATH: Final = "no path"


@dataclass(frozen=True, slots=True)
class _Requests:
    """Requests that a rule is about."""

    path: str | None
    methods: tuple[str, ...]

    def matched_by(self, other: _Requests) -> bool:
        """Whether a rule about `other` matches these too."""
        if other == self or other.path is None or self.path is None or "*" not in other.path:
            return False
        return (not other.methods or other.methods == self.methods) and Rule(other.path).matches("GET", self.path)


def check_writable(model: Trial) -> None:
    """Check that a file of limits can say what is tried.

    Raises:
        ConfigurationError: it cannot.
    """
    if model.selector.kind not in {"ip", "header"}:
        raise ConfigurationError(
            f"limits.toml cannot say --key {model.selector}: it knows ip and header:NAME. Leave --write out, and give "
            f"the throttle an identifier in the application"
        )
    if model.weight is not None:
        raise ConfigurationError(
            f"limits.toml cannot say --cost {model.weight}, only a number: leave --write out, and charge each request "
            f"in the application with throttle.hit(..., cost=...)"
        )


def limits_text(trials: Mapping[str, Trial], by: Grouping, only: Sequence[Rule], said: Iterable[str]) -> str:
    """The file.

    Args:
        trials: the suggested throttles by the group that each is for.
        by: how the requests were grouped.
        only: the requests that were looked at; all if empty.
        said: lines of a comment at the top.

    Raises:
        ConfigurationError: there is no throttle to write.
    """
    if not trials:
        raise ConfigurationError(_NOTHING)
    groups = {group: _requests(group) for group in trials if by.rules and group != OTHERS and _NO_PATH not in group}
    lines = [f"# {line}" for line in said]
    for group, trial in trials.items():
        lines += ["", *_throttle(group, trial), *_rules(group, groups, by, only)]
    return "\n".join(lines) + "\n"


def tiers_text(trials: Mapping[str, Trial | None], only: Sequence[Rule], said: Iterable[str]) -> str:
    """The file with one throttle, whose tiers are the groups by a field.

    Args:
        trials: the suggested throttle of each group; None where none was found.
        only: the requests that were looked at; all if empty.
        said: lines of a comment at the top.

    Raises:
        ConfigurationError: there is no throttle to write.
    """
    model = next(filter(None, trials.values()), None)
    if model is None:
        raise ConfigurationError(_NOTHING)
    names = {group: "default" if group == OTHERS else group.partition("=")[2] for group in trials}
    lines = [*(f"# {line}" for line in said), "", *_throttle("", model, tiers=True)]
    default = next((name for name in ("none", "default") if name in names.values()), None)
    if default is not None:
        lines.append(f"default_tier = {_text(default)}")
    lines += ["", "[throttle.tiers]"]
    for group, trial in trials.items():
        rate = _text("unlimited" if trial is None else "; ".join(map(str, trial.plan.rates)))
        lines.append(
            f"{_name(names[group])} = {rate}" + ("  # no limit keeps within the target" if trial is None else "")
        )
    for rule in only:
        lines += _rule(_Requests(None if rule.path is None else str(rule.path), tuple(rule.methods)))
    return "\n".join(lines) + "\n"


def _requests(group: str) -> _Requests:
    method, _, path = group.rpartition(" ") if "/" in group else (group, "", "")
    return _Requests(path or None, tuple(filter(None, [method])))


def _throttle(group: str, trial: Trial, *, tiers: bool = False) -> Iterator[str]:
    strategy = trial.plan.strategy
    name = next(name for name, kind in STRATEGIES.items() if type(strategy) is kind)
    yield "[[throttle]]"
    yield f"uid = {_text(group or _UID)}"
    if not tiers:
        yield f"rate = {_text('; '.join(map(str, trial.plan.rates)))}"
    if name != "sliding-window":
        yield f"strategy = {_text(name)}"
    burst = getattr(strategy, "burst", None)
    if burst is not None:
        yield f"burst = {burst}"
    if trial.cost != 1:
        yield f"cost = {trial.cost}"
    if trial.selector.kind != "ip":
        yield f"key = {_text(str(trial.selector))}"


def _rules(group: str, groups: Mapping[str, _Requests], by: Grouping, only: Sequence[Rule]) -> Iterator[str]:
    if not by.rules:
        for rule in only:
            yield from _rule(_Requests(None if rule.path is None else str(rule.path), tuple(rule.methods)))
        if group:
            yield f"# No rule says this: apply it to requests with {_text(group)} alone."
        return
    mine = groups.get(group)
    if mine is not None:
        yield from _rule(mine)
    for other in groups.values():
        if mine is None or other.matched_by(mine):
            yield from _rule(other, bypass=True)


def _rule(requests: _Requests, *, bypass: bool = False) -> Iterator[str]:
    try:
        Rule(requests.path, methods=requests.methods)
    except ValueError as error:
        yield f"# Left out: {error}"
        return
    yield from ("", "[[throttle.rule]]")
    if requests.path is not None:
        yield f"path = {_text(requests.path)}"
    if requests.methods:
        yield f"methods = [{', '.join(map(_text, sorted(requests.methods)))}]"
    if bypass:
        yield "bypass = true"


def _name(text: str) -> str:
    """A key of TOML."""
    return text if _BARE.fullmatch(text) else _text(text)


def _text(text: str) -> str:
    """A string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
