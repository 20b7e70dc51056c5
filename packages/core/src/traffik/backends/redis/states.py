"""The encoding of states of strategies without a Lua twin, and the tags at the beginning of all values in Redis.

A tag names the strategy of a value and the version of its encoding. A value that cannot be decoded counts as no state.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from traffik.model.rates import Rate
from traffik.strategies import CalendarWindow, Twinned
from traffik.strategies.turns import period_of

if TYPE_CHECKING:
    from traffik.strategies import Plan, State

__all__ = ["decode", "encode", "in_script", "rates_text", "tag_of", "tag_of_several"]

_TAGS: Final = {
    "sliding_window": "w",
    "sliding_counter": "c",
    "fixed_window": "f",
    "meter": "m",
    "calendar_window": "k",
}
_PLAIN: Final = (int, float, str, bool, type(None))
_ANY: Final = Rate(1, 1_000_000)


def in_script(plan: Plan) -> bool:
    """Whether the script can decide for `plan`, since its strategy has Lua twins in this package."""
    return plan.twins is not None and all(twin.name in _TAGS for twin in plan.twins)


def tag_of(plan: Plan) -> str:
    """The tag of the values of `plan`. For a built-in strategy one letter, in upper case if there are several rates."""
    if plan.twins and in_script(plan):
        return tag_of_several(plan) if plan.several else _TAGS[plan.twins[0].name]
    return _custom_tag(plan.family)


def tag_of_several(plan: Plan) -> str:
    """The tag of the values of plans with the same strategy, which the script decides, that have several rates."""
    strategy = plan.strategy
    if isinstance(strategy, CalendarWindow) or not isinstance(strategy, Twinned):
        return "K"
    return _TAGS[strategy.twin(_ANY).name].upper()


def rates_text(plan: Plan) -> str:
    """The rates of `plan` as the script writes them in values of several rates; see turns.lua."""
    pairs = zip(plan.twins or (), plan.rates, strict=False)
    return ";".join(",".join(map(str, (f"{_TAGS[twin.name]}{period_of(rate)}", *twin.numbers))) for twin, rate in pairs)


def _custom_tag(family: str) -> str:
    return "p" + blake2b(family.encode(), digest_size=6).hexdigest()


def encode(state: State, plan: Plan) -> bytes:
    """A state as a value: the tag and JSON.

    Raises:
        TypeError: a part of it is not a tuple, a number, text, a bool or None.
    """
    _check(state, plan)
    return (tag_of(plan) + json.dumps(state, separators=(",", ":"))).encode()


def decode(value: bytes | None, plan: Plan) -> State | None:
    """The state in a value; None if it does not belong to this plan."""
    if value is None:
        return None
    tags = [tag_of(plan).encode(), *(_custom_tag(each).encode() for each in plan.siblings)]
    tag = next(filter(value.startswith, tags), None)
    if tag is None:
        return None
    try:
        state = json.loads(value[len(tag) :], object_hook=_refuse)
    except ValueError:
        return None
    if not isinstance(state, list):
        return None
    found: State = _tuples(state)
    return found if tag == tags[0] else plan.from_sibling(found)


def _check(part: Any, plan: Plan) -> None:
    if isinstance(part, tuple):
        for each in part:
            _check(each, plan)
    elif not isinstance(part, _PLAIN):
        raise TypeError(
            f"the state of {plan.strategy!r} holds {part!r} ({type(part).__name__}), which cannot be stored in Redis: "
            f"a state consists of tuples, numbers, text, bools and None"
        )


def _tuples(part: Any) -> Any:
    return tuple(map(_tuples, part)) if isinstance(part, list) else part


def _refuse(part: dict[str, Any]) -> None:
    raise ValueError(f"a state contains no object such as {part!r}")
