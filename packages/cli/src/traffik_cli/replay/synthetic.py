"""Traffic that looks like a day of a service, made from a seed: for tests, for docs, and to try things out.

Load rises and falls with the day. Clients differ as they do: a few make many requests, most make few (Zipf's law), in
visits of several requests. A scraper goes through the catalogue at an even, high rate. In the afternoon something
fails for some minutes, and a part of the clients retries again and again: the retry storm.

The same arguments give the same lines, on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from itertools import accumulate
from random import Random
from typing import Final

from traffik.model.errors import ConfigurationError

__all__ = ["SCRAPER", "Traffic", "traffic_of"]

SCRAPER: Final = "198.51.100.23"
"""The address of the scraper."""

_START: Final = date(2025, 10, 10)
"""The day on which it begins, at midnight, UTC."""

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_AGENTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "okhttp/4.12.0",
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What to make.

    Attributes:
        seed: of everything that is left to chance.
        hours: how long it goes on.
        requests: about how many there are, the scraper and the storm aside.
        clients: how many make them.
        scraper: requests of the scraper a second; 0 for none.
        storm: clients in the retry storm; 0 for none.
    """

    seed: int = 1
    hours: int = 24
    requests: int = 50_000
    clients: int = 1_000
    scraper: int = 1
    storm: int = 12

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            least = 0 if setting.name in {"seed", "scraper", "storm"} else 1
            if type(value) is not int or value < least:
                raise ConfigurationError(f"{setting.name} is an integer from {least}, not {value!r}")

    def blocks(self) -> Iterator[bytes]:
        """The log in Combined Log Format, in blocks of whole lines, a minute each."""
        chance = Random(self.seed)  # noqa: S311 - traffic, not secrets
        addresses = [_address(chance) for _ in range(self.clients)]
        popularity = list(accumulate(1 / (rank + 1) ** 0.9 for rank in range(self.clients)))
        shares = self._shares()
        waiting: dict[int, list[tuple[int, str]]] = {}
        for minute in range(self.hours * 60):
            arrivals = self.requests * shares[minute] / 3.0  # visits, of three requests on average
            for _ in range(_whole(chance, arrivals)):
                (address,) = chance.choices(addresses, cum_weights=popularity)
                _visit(chance, minute * 60, address, waiting)
            self._scrape(minute, waiting)
            self._retry(chance, minute, addresses, waiting)
            lines = sorted(waiting.pop(minute, []), key=lambda hit: hit[0])
            if lines:
                yield "".join(_line(chance, at, address) for at, address in lines).encode()

    def _shares(self) -> list[float]:
        """The part of the load that falls on each minute: least at four in the morning, most at four past noon."""
        weights = [1.1 + math.sin((minute / 60 - 10) / 24 * 2 * math.pi) for minute in range(self.hours * 60)]
        total = sum(weights)
        return [weight / total for weight in weights]

    def _scrape(self, minute: int, waiting: dict[int, list[tuple[int, str]]]) -> None:
        """From two to five in the morning of every day, evenly."""
        if self.scraper and 2 <= minute // 60 % 24 < 5:
            at = minute * 60
            hits = waiting.setdefault(minute, [])
            hits += [(at + second, SCRAPER) for second in range(60) for _ in range(self.scraper)]

    def _retry(
        self, chance: Random, minute: int, addresses: list[str], waiting: dict[int, list[tuple[int, str]]]
    ) -> None:
        """For ten minutes from half past three in the afternoon, each of some clients retries every second or so."""
        if not self.storm or not 930 <= minute % 1440 < 940:
            return
        hits = waiting.setdefault(minute, [])
        for address in addresses[: -self.storm - 1 : -1]:
            at = minute * 60 + chance.random()
            while at < minute * 60 + 60:
                hits.append((int(at), address))
                at += 1 + chance.random()


def traffic_of(text: str) -> Traffic:
    """What ``seed=7,hours=2`` spells; the rest as it is by itself, and all of it for ``default``.

    Raises:
        ConfigurationError: something is no setting, or out of its range.
    """
    names = [setting.name for setting in fields(Traffic)]
    settings: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        if part == "default":
            continue
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in names or not value.isascii() or not value.isdigit() or len(value) > 12:
            raise ConfigurationError(
                f"{part!r} is not a setting of --synthetic: write NAME=NUMBER,… with {', '.join(names)}; or default"
            )
        settings[name] = int(value)
    return Traffic(**settings)


def _visit(chance: Random, start: int, address: str, waiting: dict[int, list[tuple[int, str]]]) -> None:
    at = start + chance.random() * 60
    for _ in range(min(int(chance.expovariate(1 / 2.5)) + 1, 40)):
        waiting.setdefault(int(at) // 60, []).append((int(at), address))
        at += chance.expovariate(1 / 4)


def _whole(chance: Random, mean: float) -> int:
    """A number of arrivals with that mean, that scatters as arrivals do."""
    return max(0, round(chance.gauss(mean, math.sqrt(mean))))


def _address(chance: Random) -> str:
    if chance.random() < 0.1:  # a tenth comes by IPv6
        return f"2001:db8:{chance.randrange(1, 65536):x}:{chance.randrange(65536):x}::{chance.randrange(1, 65536):x}"
    return f"{chance.randrange(11, 198)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"


def _line(chance: Random, at: int, address: str) -> str:
    day = date.fromordinal(_START.toordinal() + at // 86_400)
    clock = f"{at // 3600 % 24:02}:{at // 60 % 60:02}:{at % 60:02}"
    stamp = f"{day.day:02}/{_MONTHS[day.month - 1]}/{day.year}:{clock} +0000"
    item = chance.randrange(5_000)
    request, agent = f"GET /api/items/{item}", _AGENTS[item % len(_AGENTS)]
    if address == SCRAPER:
        agent = "catalogue-scraper/1.0"
    elif item % 20 == 0:
        request = "POST /login"
    elif item % 7 == 0:
        request = f"GET /search?q=item+{item}"
    return f'{address} - - [{stamp}] "{request} HTTP/1.1" 200 {200 + item} "-" "{agent}"\n'
