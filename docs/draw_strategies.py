"""Draws what each strategy admits over time into docs/images/strategies.svg.

python -m docs.draw_strategies

A client hits once, is quiet, and then hits every second. Each limiter runs on the store in memory with a virtual clock.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from docs.pictures import IMAGES, INK, SOFT, STRONG, looks, save
from traffik import GCRA, FixedWindow, Limiter, SlidingCounter, SlidingWindow, Strategy, TokenBucket
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

LIMIT, PERIOD, END = 10, 60, 240
HITS = [0, *range(50, END)]
STRATEGIES: dict[str, Strategy] = {
    "SlidingWindow(), SlidingLog()": SlidingWindow(),
    "FixedWindow()": FixedWindow(),
    "SlidingCounter()": SlidingCounter(),
    "TokenBucket(), LeakyBucket(), GCRA()": TokenBucket(),
    "GCRA(burst=1)": GCRA(burst=1),
}


def admitted(strategy: Strategy) -> list[int]:
    """The seconds at which a hit is admitted."""
    clock = VirtualClock()
    limiter = Limiter("drawing", f"{LIMIT}/min", strategy=strategy, backend=InMemoryBackend(clock=clock)).sync
    found, now = [], 0
    for second in HITS:
        clock.advance(seconds=second - now)
        now = second
        if limiter.hit("client"):
            found.append(second)
    return found


def draw(axes: Axes, name: str, times: list[int]) -> None:
    """One panel: every hit that is admitted, and how many there were in the last minute."""
    within = [sum(second - PERIOD < time <= second for time in times) for second in range(END)]
    axes.fill_between(range(END), within, step="post", color=SOFT)
    axes.axhline(LIMIT, color=INK, linewidth=0.8, linestyle="--")
    axes.vlines(times, -3, -0.6, color=STRONG, linewidth=1)
    axes.set_title(f"{name}: at most {max(within)} in a minute", loc="left", fontsize=10)
    axes.set_xlim(-2, END)
    axes.set_ylim(-3.4, 2 * LIMIT)
    axes.set_yticks([0, LIMIT, 2 * LIMIT])


def main() -> None:
    """Write the image."""
    with looks():
        figure = Figure(figsize=(8, 8.5), layout="constrained")
        panels = figure.subplots(len(STRATEGIES), sharex=True)
        for axes, (name, strategy) in zip(panels, STRATEGIES.items(), strict=True):
            draw(axes, name, admitted(strategy))
        panels[-1].set_xticks(range(0, END + 1, PERIOD))
        panels[-1].set_xlabel(f"seconds; {LIMIT}/min, one hit at 0 and one every second from 50 on")
        save(figure, IMAGES / "strategies.svg", "The hits that each strategy admits over four minutes")


if __name__ == "__main__":
    main()
