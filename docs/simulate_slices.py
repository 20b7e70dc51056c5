"""Simulates fleets of 10 to 10,000 processes that spend one limit in slices, for the page docs/slices.md.

python -m docs.simulate_slices           simulates, writes the table of the page, and draws docs/images/slices.svg
python -m docs.simulate_slices --draw    draws from the table alone

Every process is a `SlicedBackend` on one store in memory with a virtual clock, so what decides is what decides in
production. All processes hit one key at the same rate. The limit is 60 seconds of their hits. First they hit for four
lives of a slice, and the calls to the store in the last two are counted. Then most of the quota is taken, and they hit
until the first of them is refused. The units that have not been spent by then are the error. It takes some minutes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from docs.pictures import FAINT, IMAGES, INK, STRONG, WEAK, looks, save
from traffik import Rate, SlidingWindow
from traffik.backends.base import Calls, Charge
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.slices import SlicedBackend
from traffik.strategies import Plan, plan
from traffik.testing import VirtualClock

PAGE = Path(__file__).parent / "slices.md"
FLEETS = (10, 100, 1000, 10_000)
HITS_A_SECOND = (20, 100, 1000)
ROW = re.compile(r"^\| [\d,]+ \| ([\d,]+) \| [\d,]+ \| ([\d.]+) \| ([\d.]+)% \|$", re.MULTILINE)
MOST_HITS = 1_000_000
PERIOD, LIFE, SHARE = 60_000, 120, 1 / 1000  # ms, ms, and a part of the limit


class CountingStore(InMemoryBackend):
    """A store that counts the calls to it."""

    calls = 0

    def prepare(self, uid: str, plan: Plan, *, sync: bool) -> Calls:
        calls = super().prepare(uid, plan, sync=sync)

        def charge(key: str, cost: int) -> Any:
            self.calls += 1
            return calls.charge(key, cost)

        return replace(calls, charge=charge)

    def take(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        return super().take(*arguments, **options)

    def post(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        return super().post(*arguments, **options)


class Outcome(NamedTuple):
    """What a fleet needed and left: calls to the store per hit, and the unspent part of the limit."""

    calls: float
    unspent: float


def simulate(processes: int, hits_a_second: int) -> Outcome:
    """One fleet, in which each process hits so many times a second."""
    clock = VirtualClock()
    store = CountingStore(clock=clock)
    limit = processes * hits_a_second * PERIOD // 1000
    counted = plan(SlidingWindow(), [Rate(limit, PERIOD * 1000)])
    fleet = [SlicedBackend(store, clock=clock) for _ in range(processes)]
    everyone = [each.prepare("hot", counted, sync=True) for each in fleet]
    pause = 1000 // hits_a_second

    def hits(millis: int) -> Iterator[bool]:
        for tick in range(millis):
            clock.advance(seconds=0.001)
            for calls in everyone[tick % pause :: pause]:
                yield bool(calls.charge("all", 1))

    sum(hits(2 * LIFE))
    before = store.calls
    admitted = sum(hits(2 * LIFE))
    calls = (store.calls - before) / admitted
    newcomer = SlicedBackend(store, clock=clock)
    (decision,) = newcomer.apply_sync([Charge("hot", counted, "all", 0, read_only=True)])
    taken = decision.remaining - processes * hits_a_second // 2  # half a second of hits is left
    newcomer.apply_sync([Charge("hot", counted, "all", taken)])
    spent = admitted * 2 + taken + sum(takewhile(bool, hits(PERIOD)))
    return Outcome(calls, (limit - spent) / limit)


def table() -> str:
    """The rows of the page's table, from simulations."""
    rows = ["| processes | hits a second in each | in all | calls a hit | unspent |", "|--:|--:|--:|--:|--:|"]
    for hits in HITS_A_SECOND:
        for processes in FLEETS:
            if processes * hits > MOST_HITS:
                break
            found = simulate(processes, hits)
            figures = (
                f"{processes:,}",
                f"{hits:,}",
                f"{processes * hits:,}",
                f"{found.calls:.3f}",
                f"{found.unspent:.2%}",
            )
            rows.append(f"| {' | '.join(figures)} |")
    return "\n".join([*rows, ""])


def outcomes(page: str) -> dict[int, list[Outcome]]:
    """The outcomes in the table of a page, by the hits a second of a process."""
    found: dict[int, list[Outcome]] = {}
    for hits, calls, unspent in ROW.findall(page):
        found.setdefault(int(hits.replace(",", "")), []).append(Outcome(float(calls), float(unspent) / 100))
    return found


def draw(axes: Axes, found: dict[int, list[Outcome]], field: str, title: str) -> None:
    """One panel: a figure of each fleet, by the hits a second of a process."""
    for (hits, fleets), colour, mark in zip(found.items(), (WEAK, INK, STRONG), "s^o", strict=True):
        values = [getattr(outcome, field) * 100 for outcome in fleets]
        label = f"{hits:,} hits a second in each process"
        axes.plot(FLEETS[: len(values)], values, marker=mark, color=colour, label=label)
    axes.set_xscale("log")
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(color=FAINT, linewidth=0.6)


def chart(found: dict[int, list[Outcome]]) -> None:
    """Write the chart."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    draw(above, found, "calls", "calls to the store per 100 hits")
    draw(below, found, "unspent", "% of the limit unspent when the first process is refused")
    bound = [min(1.0, processes * SHARE) * 100 for processes in FLEETS]
    below.plot(FLEETS, bound, color=INK, linestyle="--", linewidth=0.8, label="bound: a slice a process")
    below.set_yscale("symlog", linthresh=0.01)
    below.set_ylim(-0.002, 200)
    below.set_yticks([0, 0.01, 0.1, 1, 10, 100], ["0", "0.01", "0.1", "1", "10", "100"])
    below.set_xlabel("processes")
    above.legend(fontsize=9)
    below.legend(fontsize=9)
    save(figure, IMAGES / "slices.svg", "Calls to the store and unspent quota, by the number of processes")


def main() -> None:
    """Write the table and the chart."""
    if "--draw" not in sys.argv:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(re.sub(r"\| processes \|.*\n(\|.*\n)*", table(), page), encoding="utf-8")
    with looks():
        chart(outcomes(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
