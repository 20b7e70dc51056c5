"""How much a limit may refuse (``0.1%``, ``0.1% of requests`` or ``1% of clients``), and the limit found for that."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.conditions import share

__all__ = ["Crests", "Peaks", "Suggestion", "Target", "Tried", "target_of"]


@dataclass(frozen=True, slots=True)
class Target:
    """How much may be refused.

    Attributes:
        share: from 0 to 1.
        of: ``requests``, or ``clients`` that are refused at least once.
    """

    share: Fraction
    of: str

    def __str__(self) -> str:
        return f"{float(self.share * 100):g}% of {self.of}"


@dataclass(frozen=True, slots=True)
class Tried:
    """What one limit did.

    Attributes:
        rate: the limit, as text.
        refused: the share of requests it refused.
        touched: the share of clients it refused at least once.
        met: whether that is within the target.
    """

    rate: str
    refused: float
    touched: float
    met: bool


class Peaks(NamedTuple):
    """Clients with the same number of requests in their fullest period.

    Attributes:
        requests: that number, or that of units where requests do not cost the same.
        clients: how many they are.
    """

    requests: int
    clients: int


@dataclass(frozen=True, slots=True)
class Crests:
    """Clients by the requests in their fullest period.

    Attributes:
        period: µs.
        peaks: how many clients there are for each number of requests, in order.
        uid: the throttle whose clients they are; empty if there is only one.
    """

    period: int
    peaks: list[Peaks]
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A limit for a target.

    Attributes:
        group: the requests that it is for, as text; empty if for all.
        target: as text.
        period: the period of the limit, µs.
        requests: how many requests there are.
        clients: how many clients there are.
        quantiles: the requests in the fullest period of a client: what 50 %, 90 %, 99 % and 99.9 % of the clients do
            not exceed, and the most.
        peaks: clients by the requests in their fullest period, in order.
        tried: the limits that were decided, in order.
        rate: the least of those that keeps within the target, as text; None if none does.
    """

    group: str
    target: str
    period: int
    requests: int
    clients: int
    quantiles: dict[str, int]
    peaks: list[Peaks]
    tried: list[Tried]
    rate: str | None


def target_of(text: str) -> Target:
    """Parse a target: ``0.1%``, ``0.1% of requests`` or ``1% of clients``.

    Raises:
        ConfigurationError: `text` is not a target.
    """
    part, _, of = text.partition(" of ")
    of = of.strip() or "requests"
    if of not in {"requests", "clients"}:
        raise ConfigurationError(f'{text!r} is not a target: write "0.1%", "0.1% of requests" or "1% of clients"')
    return Target(share(part), of)
