"""A replay as pictures: admitted and refused over time, and clients by how many requests they make; before and after.

Drawn with matplotlib's own canvases, without pyplot: no window, no state that is left behind.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.reports import ScenarioReport
from traffik_cli.replay.targets import Suggestion
from traffik_cli.runs import Found
from traffik_cli.words import moment, number, percent, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["figure", "save", "svg"]

_ADMITTED: Final = "#4477aa"
_REFUSED: Final = "#cc3311"
_QUIET: Final = "#888888"
"""Blue and red of Paul Tol's schemes, which those who cannot tell red from green can tell apart too."""

_WIDTH: Final = 9.0
_SETTINGS: Final[dict[Any, str]] = {"svg.fonttype": "none", "svg.hashsalt": "traffik"}
"""In a page text stays text, to be found and read aloud; and a page made twice is the same."""

_DAY: Final = 86_400_000_000


def save(outcome: Found, path: Path) -> None:
    """Draw all of it into `path`, in the kind of picture that its name says.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        with rc_context(_SETTINGS):
            figure(outcome).savefig(path, dpi=100)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def svg(outcome: Found) -> str:
    """The picture as an element of a page."""
    buffer = io.BytesIO()
    with rc_context(_SETTINGS):
        figure(outcome).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode()
    return text[text.index("<svg") :]


def figure(outcome: Found) -> Figure:
    """The picture: over time for every scenario, then clients by requests, then the suggestion."""
    reports = outcome.reports
    rows = len(reports) + 1 + len(outcome.suggestions)
    drawn = Figure(figsize=(_WIDTH, 2.7 * rows + 0.3), layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.subplots(rows, 1, squeeze=False)[:, 0]
    top = max((step.requests for report in reports for step in report.steps), default=1)
    for axis, report in zip(axes, reports, strict=False):
        _over_time(axis, report, top)
    _clients(axes[len(reports)], reports)
    for axis, suggestion in zip(axes[len(reports) + 1 :], outcome.suggestions, strict=True):
        _suggestion(axis, suggestion)
    return drawn


def _over_time(axis: Axes, report: ScenarioReport, top: int) -> None:
    """Requests in steps of time, the refused ones upon the admitted; one scale for all scenarios."""
    steps, width = report.steps, report.step
    share = percent(report.refused, report.requests)
    axis.set_title(
        f"{report.name}: {number(report.refused)} of {number(report.requests)} refused ({share})", loc="left"
    )
    at = [step.at for step in steps]
    admitted = [step.requests - step.refused for step in steps]
    axis.bar(at, admitted, width, align="edge", color=_ADMITTED, label="admitted")
    axis.bar(at, [step.refused for step in steps], width, admitted, align="edge", color=_REFUSED, label="refused")
    axis.set_ylabel(f"requests in {span(width)}")
    axis.set_ylim(0, top * 1.05)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    if steps:
        _time_axis(axis, at[0], at[-1] + width)
    axis.legend(loc="upper left", frameon=False, ncols=2)
    _plain(axis)


def _time_axis(axis: Axes, first: int, last: int) -> None:
    """Whole units of time as ticks, the day where it changes."""
    spans = (1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_419_200, 31_536_000)
    step = next((each * 1_000_000 for each in spans if (last - first) / (each * 1_000_000) <= 9), last - first)
    ticks = list(range(math.ceil(first / step) * step, last + 1, step))
    axis.set_xlim(first, last)
    axis.set_xticks(ticks, [_tick(tick, step, place == 0) for place, tick in enumerate(ticks)])
    axis.set_xlabel("UTC")


def _tick(micros: int, step: int, first: bool) -> str:
    day, clock = moment(micros).split(" ")
    if step % _DAY == 0:
        return day
    clock = clock if step < 60_000_000 else clock[:5]
    return f"{clock}\n{day}" if first or micros % _DAY == 0 else clock


def _clients(axis: Axes, reports: list[ScenarioReport]) -> None:
    """Clients by the number of their requests, those refused at least once in red; before and after side by side."""
    axis.set_title("Clients by the number of their requests", loc="left")
    bins = [(report, report.limits[0].sizes) for report in reports]
    width = 0.8 / len(bins)
    labels = max((sizes for _, sizes in bins), key=len, default=[])
    for place, (report, sizes) in enumerate(bins):
        at = [each.least.bit_length() - 0.4 + width * (place + 0.5) for each in sizes]
        alpha = 1.0 - 0.45 * place / len(bins)
        # One before the other and not upon it: on this scale every bar has to stand on the ground.
        axis.bar(at, [each.clients for each in sizes], width * 0.95, color=_ADMITTED, alpha=alpha, label=report.name)
        touched = [each.touched for each in sizes]
        axis.bar(at, touched, width * 0.5, color=_REFUSED, alpha=alpha, label=f"{report.name}: refused at least once")
    axis.set_xticks([each.least.bit_length() for each in labels], [_short(each.least) for each in labels])
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.7)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_xlabel("requests of a client, at least (and less than in the next group)")
    axis.set_ylabel("clients")
    axis.legend(loc="upper right", frameon=False)
    _plain(axis)


def _short(count: int) -> str:
    return f"{count / 1024:.0f}k" if count >= 10_000 else str(count)


def _suggestion(axis: Axes, found: Suggestion) -> None:
    """What each limit that was decided would have refused, and the one suggested."""
    axis.set_title(f"Limits for at most {found.target}: {found.rate or 'none'}", loc="left")
    places = range(len(found.tried))
    axis.plot(places, [100 * each.refused for each in found.tried], "o-", color=_REFUSED, label="requests refused")
    axis.plot(places, [100 * each.touched for each in found.tried], "s--", color=_QUIET, label="clients touched")
    axis.set_xticks(list(places), [each.rate for each in found.tried], fontsize=8)
    for place, each in enumerate(found.tried):
        if each.rate == found.rate:
            axis.axvline(place, color=_ADMITTED, linewidth=6, alpha=0.25, zorder=0)
    axis.set_ylabel("%")
    axis.set_ylim(bottom=0)
    axis.legend(loc="upper right", frameon=False)
    _plain(axis)


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
