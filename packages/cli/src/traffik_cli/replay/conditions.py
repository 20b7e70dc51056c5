"""``--fail-if "refused > 1%"``: one measure of a replay, one comparison, one number.

    condition = measure ( ">" | ">=" | "<" | "<=" | "=" | "!=" ) ( number [ "%" ] | time )

Nothing else is read, and nothing is evaluated but that.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from traffik.model.errors import ConfigurationError
from traffik.model.rates import Rate
from traffik_cli.replay.drifts import CHANGES, LimitDrift
from traffik_cli.replay.logs import LogReport
from traffik_cli.replay.reports import ScenarioReport

__all__ = ["Condition", "condition", "share"]

_COMPARISONS: Final[Mapping[str, Callable[[Fraction, Fraction], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
_FOREVER: Final = 10**40
"""The wait of what is never admitted, µs: longer than any that can be written."""

_WHOLES: Final = {
    "refused": "requests",
    "touched": "clients",
    "keyless": "requests",
    "malformed": "lines",
    "late": "requests",
}
"""What a percentage of each measure is of."""

_MEASURES: Final = (
    "refused",
    "touched",
    "keyless",
    "malformed",
    "late",
    "requests",
    "clients",
    "peak",
    "wait",
    "drift",
)
_DRIFT: Final = "drift"
_TEXT: Final = re.compile(
    r"\s*(?P<measure>[a-z]+)(?: +of +(?P<part>[a-z0-9.]+))?\s*"
    r"(?P<sign>[<>=!]=?)\s*(?P<value>[0-9.]+)\s*(?P<unit>%|[a-zµ]*)\s*"
)
_GRAMMAR: Final = (
    f'write "<measure> <comparison> <number>": the measure is one of {", ".join((*_MEASURES, _DRIFT))}; the comparison '
    f"one of {' '.join(_COMPARISONS)}; the number a plain one, a percentage (of {', '.join(_WHOLES)}, drift), or a "
    f'time for wait: "refused > 1%", "touched >= 5", "wait > 30s", "drift > 10%", "drift of p99 > 20%"'
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of ``--fail-if``.

    Attributes:
        text: as it was written.
        measure: what is compared.
        sign: how.
        bound: with what: a share where `percent`, µs for a wait.
        percent: whether it is a share.
        part: the number whose drift is compared; None for the largest.
    """

    text: str
    measure: str
    sign: str
    bound: Fraction
    percent: bool
    part: str | None = None

    def holds(self, found: ScenarioReport, logs: list[LogReport], drifts: Sequence[LimitDrift] = ()) -> bool:
        """Whether the condition holds; `drifts` are what has changed since another log."""
        if self.measure == _DRIFT:
            return _COMPARISONS[self.sign](_drift(drifts, self.part), self.bound)
        values = _values(found, logs)
        value = Fraction(values[self.measure])
        if self.percent:
            whole = values[_WHOLES[self.measure]]
            value = value / whole if whole else Fraction(0)
        return _COMPARISONS[self.sign](value, self.bound)


def condition(text: str) -> Condition:
    """Parse a condition.

    Raises:
        ConfigurationError: `text` is not a condition; the message shows the grammar.
    """
    match = _TEXT.fullmatch(text)
    if match is None or match["sign"] not in _COMPARISONS:
        raise ConfigurationError(f"{text!r} is not a condition: {_GRAMMAR}")
    measure, unit = match["measure"], match["unit"]
    if measure not in {*_MEASURES, _DRIFT}:
        raise ConfigurationError(f"{text!r} is not a condition, since there is no measure {measure!r}: {_GRAMMAR}")
    part = match["part"]
    if part is not None and (measure != _DRIFT or part not in CHANGES):
        raise ConfigurationError(
            f"{text!r} is not a condition: only drift is that of a number, and the numbers are {', '.join(CHANGES)}"
        )
    number = _number(match["value"], text)
    if measure == _DRIFT:
        if unit != "%":
            raise ConfigurationError(f'{text!r} is not a condition: drift is a percentage, such as "drift > 10%"')
        return Condition(text, measure, match["sign"], number / 100, percent=True, part=part)
    if unit == "%":
        if measure not in _WHOLES:
            raise ConfigurationError(f"{text!r} is not a condition, since {measure} has no percentage: {_GRAMMAR}")
        return Condition(text, measure, match["sign"], number / 100, percent=True)
    if measure == "wait":
        number *= Rate.parse(f"1/{unit or 's'}").period
    elif unit:
        raise ConfigurationError(f"{text!r} is not a condition, since {unit!r} is not a unit of {measure}: {_GRAMMAR}")
    return Condition(text, measure, match["sign"], number, percent=False)


def share(text: str) -> Fraction:
    """A share such as ``0.1%`` as a number from 0 to 1.

    Raises:
        ConfigurationError: `text` is not a share, or has no percent sign.
    """
    digits = text.strip().removesuffix("%").strip()
    found = _number(digits, text) / 100
    if not text.strip().endswith("%"):
        raise ConfigurationError(f'{text!r} has no percent sign: write "{digits}%" for {digits} in a hundred')
    if not 0 <= found <= 1:
        raise ConfigurationError(f"{text!r} is not a share: give one from 0% to 100%")
    return found


def _number(digits: str, text: str) -> Fraction:
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", digits):
        raise ConfigurationError(f"{digits!r} in {text!r} is not a number")
    return Fraction(digits)


def _drift(drifts: Sequence[LimitDrift], part: str | None) -> Fraction:
    """The largest change, up or down, of a number of any throttle, or of all numbers."""
    changes = [each.change for drift in drifts for each in drift.changes if part in {None, each.name}]
    return max((Fraction(_FOREVER) if each is None else abs(Fraction(each)) for each in changes), default=Fraction(0))


def _values(found: ScenarioReport, logs: list[LogReport]) -> dict[str, int]:
    waits = [limit.longest.wait for limit in found.limits if limit.longest is not None]
    waits += [_FOREVER for limit in found.limits if limit.never]
    return {
        "refused": found.refused,
        "requests": found.requests,
        "clients": found.clients,
        "touched": found.touched,
        "keyless": max((limit.keyless for limit in found.limits), default=0),
        "peak": found.second.requests,
        "wait": max(waits, default=0),
        "malformed": sum(log.malformed for log in logs),
        "lines": sum(log.lines for log in logs),
        "late": sum(log.late for log in logs),
    }
