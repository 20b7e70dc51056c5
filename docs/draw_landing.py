"""Draws the three pictures of the landing page, docs/images/landing-*.svg.

python -m docs.draw_landing

The first two are measured here, on the store in memory with a virtual clock. The third has figures of docs/speed.md.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from docs.pictures import BAD, FAINT, IMAGES, INK, STRONG, WEAK, looks, save
from traffik import FixedWindow, Limiter, SlidingWindow, Strategy
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

SPEED = Path(__file__).parent / "speed.md"
LIMIT, PERIOD, END = 100, 60, 180
CLIENTS = 1000
CALLERS = (1, 16, 128, 512)


def fullest(strategy: Strategy) -> list[int]:
    """What a client gets within the last minute, second by second, if it hits once, and much from second 55 on."""
    clock = VirtualClock()
    limiter = Limiter("landing", f"{LIMIT}/min", strategy=strategy, backend=InMemoryBackend(clock=clock)).sync
    admitted = [int(bool(limiter.hit("client")))]
    for second in range(1, END):
        clock.advance(seconds=1)
        admitted.append(sum(bool(limiter.hit("client")) for _ in range(25 if second >= 55 else 0)))
    return [sum(admitted[max(0, second - PERIOD + 1) : second + 1]) for second in range(END)]


def retries(early: int) -> int:
    """How many of the refused clients are admitted if they come back so many µs before their wait is over."""
    chance = random.Random(7)
    clock = VirtualClock()
    limiter = Limiter("landing", f"{LIMIT}/min", backend=InMemoryBackend(clock=clock)).sync
    admitted = 0
    for client in map(str, range(CLIENTS)):
        while answer := limiter.hit(client, cost := chance.randint(1, 10)):
            clock.advance(microseconds=chance.randint(1, 500_000))
        clock.advance(microseconds=answer.retry_after - early)
        admitted += bool(limiter.hit(client, cost))
    return admitted


def throughput(page: str) -> list[tuple[float, float]]:
    """The hits a second through Redis to those of single calls, lowest and highest, for each number of callers."""
    one = re.findall(r"^\| hits a second through Redis by 1 caller.* \| (\d.*?) × \|$", page, re.MULTILINE)
    more = re.findall(r"^\| the same by 16, by 128 and by 512 callers .* \| (\d.*?) × \(", page, re.MULTILINE)
    ranges = [*one, *more[0].replace(" ×", "").split(", ")]
    return [(float(low), float(high)) for low, high in (each.split(" to ") for each in ranges)]


def draw_fullest(axes: Axes) -> None:
    """The picture of the number that you write."""
    axes.plot(fullest(FixedWindow()), color=BAD, linestyle="--", label="fixed window")
    axes.plot(fullest(SlidingWindow()), color=STRONG, linewidth=2.2, label="traffik")
    axes.axhline(LIMIT, color=INK, linewidth=0.8, linestyle=":")
    axes.set_yticks([0, LIMIT, 2 * LIMIT])
    axes.set_xticks(range(0, END + 1, PERIOD))
    axes.set_xlabel("seconds")
    axes.legend(loc="upper left")


def draw_retries(axes: Axes) -> None:
    """The picture of the exact wait."""
    found = [retries(1), retries(0)]
    axes.barh([0, 1], [CLIENTS, CLIENTS], 0.5, color=FAINT)
    axes.barh([0, 1], found, 0.5, color=STRONG)
    for place, count in enumerate(found):
        axes.text(0, place - 0.33, f"{count:,} of {CLIENTS:,} admitted", va="bottom")
    axes.set_yticks([0, 1], ["1 µs\nearly", "on\ntime"])
    axes.set_ylim(1.5, -0.7)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)


def draw_throughput(axes: Axes) -> None:
    """The picture of the calls that hits share."""
    ranges = throughput(SPEED.read_text(encoding="utf-8"))
    places = range(len(ranges))
    axes.bar(places, [high for _, high in ranges], 0.6, color=STRONG, alpha=0.45)
    axes.bar(places, [low for low, _ in ranges], 0.6, color=STRONG)
    axes.axhline(1, color=WEAK, linewidth=1.5, linestyle="--")
    for place, (low, high) in enumerate(ranges):
        axes.text(place, high + 0.2, f"{low:g}–{high:g} ×", ha="center")
    axes.set_xticks(places, [str(each) for each in CALLERS])
    axes.set_yticks([1], ["1 ×"])
    axes.set_ylim(0, max(high for _, high in ranges) * 1.15)
    axes.set_xlabel("callers at once")


PICTURES = {
    "window": (draw_fullest, "Requests admitted in the last minute, under 100/min"),
    "wait": (draw_retries, "Refused clients that come back"),
    "redis": (draw_throughput, "Hits a second on one Redis, to a call each"),
}


def main() -> None:
    """Write the images."""
    for name, (draw, title) in PICTURES.items():
        with looks():
            figure = Figure(figsize=(4.6, 2.7), layout="constrained")
            axes = figure.subplots()
            axes.set_title(title, loc="left", fontsize=11)
            draw(axes)
            save(figure, IMAGES / f"landing-{name}.svg", title)


if __name__ == "__main__":
    main()
