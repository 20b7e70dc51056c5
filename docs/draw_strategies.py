"""Draws what each strategy admits over time into docs/images/strategies.png.

python docs/draw_strategies.py

A client hits once, is quiet, and then hits every second. Each limiter runs on the store in memory with a virtual clock.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from traffik import GCRA, FixedWindow, Limiter, SlidingCounter, SlidingWindow, Strategy, TokenBucket
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

IMAGE = Path(__file__).parent / "images" / "strategies.png"
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
    axes.fill_between(range(END), within, step="post", color="#9ecae1")
    axes.axhline(LIMIT, color="#444444", linewidth=0.8, linestyle="--")
    axes.vlines(times, -3, -0.6, color="#08519c", linewidth=1)
    axes.set_title(f"{name}: at most {max(within)} in a minute", loc="left", fontsize=9)
    axes.set_xlim(-2, END)
    axes.set_ylim(-3.4, 2 * LIMIT)
    axes.set_yticks([0, LIMIT, 2 * LIMIT])


def main() -> None:
    """Write the image."""
    mpl.use("Agg")
    figure, panels = plt.subplots(len(STRATEGIES), sharex=True, figsize=(8, 8.5), layout="constrained")
    for axes, (name, strategy) in zip(panels, STRATEGIES.items(), strict=True):
        draw(axes, name, admitted(strategy))
    panels[-1].set_xticks(range(0, END + 1, PERIOD))
    panels[-1].set_xlabel(f"seconds; {LIMIT}/min, one hit at 0 and one every second from 50 on")
    figure.savefig(IMAGE, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
