"""The panels of a picture. Each draws one part of a replay on the given axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from traffik.model.rates import parse_rates
from traffik_cli.replay.reports import ScenarioReport
from traffik_cli.replay.targets import Crests, Peaks, Suggestion
from traffik_cli.replay.timeline import Stretch, wider
from traffik_cli.runs import Found
from traffik_cli.words import clients, cut, moment, number, percent, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "bars", "clients_panel", "groups_panel", "refused_panel", "requests_panel", "tried_panel"]

COLOURS: Final = {
    "ink": "#1f2328",
    "quiet": "#6e7781",
    "grid": "#d8dee4",
    "requests": "#7fa6cf",
    "refused": "#b3261e",
    "chosen": "#0b5394",
}
"""Colours that differ in grey too; a page may set others under the same names."""

_BARS: Final = 120
_LABEL: Final = 34
_GROUP: Final = 20
"""Characters of the names of limits and groups; of groups on a phone."""
_SECOND: Final = 1_000_000
_DAY: Final = 86_400_000_000
_SPANS: Final = (1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_419_200, 31_536_000)
_DECADE: Final = (1, 2, 3, 5, 7)
_STYLES: Final = (("-", "o"), ("--", "s"), ("-.", "^"), (":", "D"))
"""How the lines of limits look, so that a reader can distinguish them without colour."""

_GAP: Final = 0.25
"""Bins that two lines are apart at least."""


def bars(report: ScenarioReport, *, narrow: bool) -> tuple[list[Stretch], int]:
    """The steps of a report, merged to fit the width, and their length in µs."""
    return wider(report.steps, report.step, _BARS // (2 if narrow else 1))


def requests_panel(axis: Axes, report: ScenarioReport, *, narrow: bool) -> None:
    """Draw the requests over time."""
    steps, width = bars(report, narrow=narrow)
    axis.set_title(f"Requests in {span(width)}", loc="left", color=COLOURS["ink"])
    axis.bar(
        [step.at for step in steps], [step.requests for step in steps], width, align="edge", color=COLOURS["requests"]
    )
    axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(int(value))))
    axis.set_ylim(bottom=0)
    _time_axis(axis, steps, width, named=False, narrow=narrow)
    _plain(axis)


def refused_panel(axis: Axes, report: ScenarioReport, most: int, *, last: bool, narrow: bool) -> None:
    """Draw the refusals of one scenario over time. `most` is the top of the scale of all scenarios."""
    steps, width = bars(report, narrow=narrow)
    name = cut(report.name, _GROUP if narrow else _LABEL)
    share = f"{number(report.refused)} refused ({percent(report.refused, report.requests)})"
    axis.set_title(f"{name}: {share}", loc="left", color=COLOURS["ink"])
    axis.bar(
        [step.at for step in steps], [step.refused for step in steps], width, align="edge", color=COLOURS["refused"]
    )
    top = max(most, *(step.refused for step in steps), 1) if steps else 1
    axis.set_ylim(0, top * 1.05)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=2))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(int(value))))
    _time_axis(axis, steps, width, named=last, narrow=narrow)
    _plain(axis)


def clients_panel(axis: Axes, crests: Crests, outcome: Found, *, narrow: bool) -> None:
    """Clients by the requests in their fullest period, and the limits that were tried as lines."""
    about = f"{cut(crests.uid, _GROUP)}: clients" if crests.uid else "Clients"
    axis.set_title(f"{about} by requests in their fullest {span(crests.period)}", loc="left", color=COLOURS["ink"])
    edges = _edges(max((peak.requests for peak in crests.peaks), default=1))
    counts = [_between(crests.peaks, low, high) for low, high in pairwise(edges)]
    axis.bar(range(len(counts)), counts, 0.86, color=COLOURS["requests"])
    for place, count in enumerate(counts):
        if count:
            axis.annotate(
                _short(count),
                (place, count),
                (0, 1.5),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=7.5,
                color=COLOURS["ink"],
            )
    labels = [_bin(low, high) for low, high in pairwise(edges)]
    axis.set_xticks(range(len(counts)), labels, fontsize=8, rotation=90 if narrow and len(labels) > 8 else 0)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(int(value))))
    axis.set_ylabel("clients")
    limits = _limits(outcome, crests.period)
    places = _apart([_place(limit, edges) for limit in limits])
    axis.set_xlim(-0.6, max([len(counts) - 0.4, *(place + 0.2 for place in places)]))
    axis.set_ylim(0, max([*counts, 1]) * (1.1 + 0.17 * len(limits)))
    _lines(axis, crests, limits, places)
    _plain(axis)


def _apart(places: Sequence[float]) -> list[float]:
    """The same places, in order, with those that would cover each other moved to the right."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + _GAP) if found else place)
    return found


def _lines(axis: Axes, crests: Crests, limits: Sequence[int], places: Sequence[float]) -> None:
    """A line for each limit, with the number of clients above it; no line crosses a label, or is like another."""
    everyone = sum(peak.clients for peak in crests.peaks)
    high = axis.get_ylim()[1]
    left = bool(places) and max(places) > sum(axis.get_xlim()) / 2
    for limit, place, (style, mark) in zip(limits, places, _STYLES, strict=False):
        row = limits.index(limit) if not left else len(limits) - 1 - limits.index(limit)
        top = high * (0.95 - 0.1 * row)
        beyond = sum(peak.clients for peak in crests.peaks if peak.requests > limit)
        colour = COLOURS["refused"]
        axis.plot(
            [place, place], [0, top], style, marker=mark, markevery=[1], markersize=5, color=colour, linewidth=1.4
        )
        axis.annotate(
            f"{number(limit)}: {clients(beyond)} above ({percent(beyond, everyone)})",
            (place, top),
            (-6 if left else 6, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=8.5,
            color=COLOURS["refused"],
        )


def tried_panel(axis: Axes, found: Suggestion, *, narrow: bool) -> None:
    """Draw what each tried limit would have refused, and the suggested one."""
    shown = found.tried[:: max(len(found.tried) // (5 if narrow else 9), 1)]
    chosen = next((each for each in found.tried if each.rate == found.rate), None)
    shown = [each for each in found.tried if each in shown or each is chosen]
    axis.set_title(f"At most {found.target}: {found.rate or 'no limit'}", loc="left", color=COLOURS["ink"])
    places = range(len(shown))
    for name, values, mark, colour, end in (
        ("requests refused", [100 * each.refused for each in shown], "o-", COLOURS["refused"], 0),
        ("clients refused", [100 * each.touched for each in shown], "s--", COLOURS["quiet"], -1),
    ):
        axis.plot(places, values, mark, color=colour, markersize=5)
        # One label at each end, so that they stay apart where the lines do not.
        axis.annotate(
            name,
            (places[end], values[end]),
            (6 if end == 0 else -6, 7),
            textcoords="offset points",
            ha="left" if end == 0 else "right",
            fontsize=8.5,
            color=colour,
        )
    axis.set_xticks(list(places), [each.rate for each in shown], fontsize=8)
    axis.margins(x=0.08)
    for place, each in enumerate(shown):
        if each is chosen:
            axis.axvline(place, color=COLOURS["chosen"], linewidth=7, alpha=0.25, zorder=0)
    axis.set_ylim(0, max(*(100 * max(each.refused, each.touched) for each in shown), 0.001) * 1.25)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    _plain(axis)


def groups_panel(axis: Axes, groups: Sequence[Suggestion], *, narrow: bool) -> None:
    """For each group of requests what clients ask for in their fullest period, and the limit suggested for it."""
    axis.set_title(
        f"Requests of a client in its fullest {span(groups[0].period)}:{chr(10) if narrow else ' '}"
        f"p50 to p99, the most, and the limit",
        loc="left",
        color=COLOURS["ink"],
    )
    rows = list(enumerate(reversed(groups)))
    asked = [(place, each.quantiles) for place, each in rows if each.quantiles]
    at, most = [place for place, _ in asked], [found["most"] for _, found in asked]
    p50, p99 = ([found[name] for _, found in asked] for name in ("p50", "p99"))
    axis.hlines(at, p50, most, color=COLOURS["quiet"], linewidth=1)
    axis.hlines(at, p50, p99, color=COLOURS["requests"], linewidth=7)
    axis.plot(most, at, "|", color=COLOURS["quiet"], markersize=9)
    limits = [(place, parse_rates(each.rate)[0].limit, each) for place, each in rows if each.rate is not None]
    axis.plot([limit for _, limit, _ in limits], [place for place, *_ in limits], "D", color=COLOURS["refused"], ms=5)
    for place, limit, each in limits:
        axis.annotate(
            each.rate or "",
            (max(limit, each.quantiles.get("most", 1)), place),
            (6, 0),
            textcoords="offset points",
            fontsize=8,
            va="center",
            color=COLOURS["refused"],
        )
    names = [cut(each.group, _GROUP if narrow else _LABEL) for each in reversed(groups)]
    axis.set_yticks(range(len(groups)), names, fontsize=8 if narrow else 8.5)
    axis.set_ylim(-0.7, len(groups) - 0.3)
    axis.set_xscale("log")
    axis.set_xlim(0.8, max([1, *most, *(limit for _, limit, _ in limits)]) * (3 if narrow else 1.6))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(int(value))))
    axis.xaxis.set_minor_formatter(NullFormatter())
    _plain(axis)
    axis.grid(axis="y", visible=False)
    axis.grid(axis="x", color=COLOURS["grid"], linewidth=0.6)


def _limits(outcome: Found, period: int) -> list[int]:
    """The limits of the scenarios for this period in order, at most four."""
    found: set[int] = set()
    for report in outcome.reports:
        limit = report.limits[0]
        for rates in [each.rates for each in limit.tiers] or [limit.rates]:
            if rates != "unlimited":
                found |= {rate.limit for rate in parse_rates(rates) if rate.period == period}
    return sorted(found)[:4]


def _edges(most: int) -> list[int]:
    """The edges of bins of increasing width: 1, 2, 3, 5, 7, 10, 20, …."""
    edges = [part * 10**power for power in range(len(str(most)) + 1) for part in _DECADE]
    if most <= 12:
        edges = list(range(1, most + 2))
    end = next(place for place, edge in enumerate(edges) if edge > most)
    return edges[: max(end, 3) + 1]


def _between(peaks: Sequence[Peaks], low: int, high: int) -> int:
    return sum(peak.clients for peak in peaks if low <= peak.requests < high)


def _place(limit: int, edges: list[int]) -> float:
    """The place of a limit on the axis of bins: right of the clients that it never refuses."""
    for place, (low, high) in enumerate(pairwise(edges)):
        if limit < high:
            return place - 0.5 + (limit + 1 - low) / (high - low)
    return len(edges) - 1.5


def _bin(low: int, high: int) -> str:
    return _short(low) if high == low + 1 else f"{_short(low)}-{_short(high - 1)}"


def _short(count: int) -> str:
    return number(count) if count < 10_000 else f"{count / 1000:.3g}k" if count < 1_000_000 else f"{count / 1e6:.3g}M"


def _time_axis(axis: Axes, steps: Sequence[Stretch], width: int, *, named: bool, narrow: bool) -> None:
    """Set ticks at whole units of time, with the date if it changes. Only the last panel has labels."""
    if not steps:
        axis.set_xticks([])
        return
    first, last = steps[0].at, steps[-1].at + width
    most = 5 if narrow else 9
    step = next((each * _SECOND for each in _SPANS if (last - first) / (each * _SECOND) <= most), last - first)
    ticks = list(range(math.ceil(first / step) * step, last + 1, step))
    axis.set_xlim(first, last)
    axis.set_xticks(ticks, [_tick(tick, step, place == 0) if named else "" for place, tick in enumerate(ticks)])
    if named:
        axis.set_xlabel("UTC", color=COLOURS["quiet"])


def _tick(micros: int, step: int, first: bool) -> str:
    day, clock = moment(micros).split(" ")
    if step % _DAY == 0:
        return day
    clock = clock if step < 60 * _SECOND else clock[:5]
    return f"{clock}\n{day}" if first or micros % _DAY == 0 else clock


def _plain(axis: Axes) -> None:
    axis.set_facecolor("none")
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(COLOURS["quiet"])
    axis.tick_params(colors=COLOURS["ink"], which="both")
    axis.yaxis.label.set_color(COLOURS["ink"])
    axis.grid(axis="y", color=COLOURS["grid"], linewidth=0.6)
    axis.set_axisbelow(True)
