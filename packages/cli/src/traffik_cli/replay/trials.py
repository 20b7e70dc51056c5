"""What is tried, from the words of a command: rates, the name of a strategy and its settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from traffik.model.costs import check_cost
from traffik.model.errors import ConfigurationError
from traffik.model.rates import Rate, parse_rates
from traffik.rules.rule import Rule, RuleSet
from traffik.strategies import plan
from traffik.strategies.named import strategy_named
from traffik.throttles.entries import LimitEntry
from traffik_cli.replay.scenarios import Applies, Trial
from traffik_cli.replay.selectors import selector
from traffik_cli.replay.tiering import is_field, plan_in, tier_field

__all__ = ["UNNAMED", "named", "period_of", "trial_of", "trials_of"]

UNNAMED: Final = "replay"
"""The uid of a throttle that has none: one that was given by its rates alone."""


def trial_of(
    rates: str | Sequence[str | Rate],
    *,
    uid: str = UNNAMED,
    strategy: str | None = None,
    burst: int | None = None,
    cost: int | str = 1,
    key: str = "ip",
) -> Trial:
    """A throttle to try.

    Args:
        rates: one or several; they are one throttle, all or nothing. None at all is unlimited.
        uid: its name.
        strategy: the name of an algorithm; the sliding window if None.
        burst: of a meter; its limit if None.
        cost: units of quota that a request takes, at least 1; or ``field:NAME`` for the number in that field.
        key: whose quota it is, as `traffik_cli.replay.selectors` reads it.

    Raises:
        RateError: something is no rate, or the strategy cannot count it.
        ConfigurationError: the strategy or the key is none.
        ValueError: the cost is out of its range.
    """
    parsed = parse_rates(rates) if rates else ()
    made = plan(strategy_named(strategy, burst=burst), parsed)
    if isinstance(cost, str) and cost.startswith("field:"):
        return Trial(uid, made, 1, selector(key), weight=selector(cost))
    return Trial(uid, made, _cost(cost), selector(key))


def _cost(given: int | str) -> int:
    if isinstance(given, str) and not (given.isascii() and given.isdigit()):
        raise ConfigurationError(f"{given!r} is not a cost: give a number of units, or field:NAME")
    if check_cost(int(given)) == 0:
        raise ConfigurationError("a cost of 0 takes nothing, so there is nothing to try: give 1 or more")
    return int(given)


def trials_of(limits: Sequence[LimitEntry], tier: str | None = None) -> list[Trial]:
    """The throttles that a file of limits describes, to be tried on requests: those for WebSockets are left out.

    Args:
        limits: the throttles.
        tier: the tier of all clients, or ``field:NAME`` for the field that names that of each request; None for the
            default tier of each throttle, or else its first.

    Raises:
        ConfigurationError: none is left, or one has no such tier.
    """
    found = [_tried(entry, tier if entry.tiers else None) for entry in limits if not entry.websocket]
    if not found:
        raise ConfigurationError("all throttles in the file guard WebSockets, whose messages are in no access log")
    return found


def _tried(entry: LimitEntry, tier: str | None) -> Trial:
    tiers = tier_field(entry, tier) if tier is not None and is_field(tier) else None
    counted = entry.plan if tier is None or tiers is not None else plan_in(entry, tier)
    applies = _applies(entry.rules) if entry.rules else None
    return Trial(entry.uid, counted, entry.cost, selector(entry.key), applies, tiers=tiers)


def _applies(rules: Sequence[Rule]) -> Applies:
    judged = RuleSet(tuple(rules))
    # A file holds no predicates, so that nothing is left to be asked.
    return lambda method, path: judged.judge(method, path) is True


def named(trial: Trial) -> str:
    """What a scenario of this one throttle is called: its rates."""
    return "; ".join(map(str, trial.plan.rates)) or "unlimited"


def period_of(text: str) -> int:
    """The span of time that `text` spells, such as ``10s``, in µs.

    Raises:
        RateError: it spells none.
    """
    return 0 if text.strip() in {"0", "0s"} else Rate.parse(f"1/{text}").period
