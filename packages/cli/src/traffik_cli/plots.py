"""A replay as a picture: requests over time, refusals under each limit, and clients by their fullest period.

Drawn with matplotlib's canvases and without pyplot, so no window opens and no global state remains.
"""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from traffik.model.errors import ConfigurationError
from traffik_cli.panels import COLOURS, bars, clients_panel, groups_panel, refused_panel, requests_panel, tried_panel
from traffik_cli.replay.targets import Suggestion
from traffik_cli.runs import Found
from traffik_cli.words import clients, moment, number, percent

__all__ = ["figure", "save", "svg"]

_SETTINGS: Final[dict[Any, Any]] = {"svg.fonttype": "none", "svg.hashsalt": "traffik", "axes.titlesize": 10.5}
"""In a page text stays text, to be found and read aloud; and a page made twice is the same."""

_WIDE: Final = 9.0
_NARROW: Final = 4.4
"""Inches: for a desk, and for a phone."""


def save(outcome: Found, path: Path) -> None:
    """Draw the picture into `path`, in the format of its file name.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        with rc_context(_SETTINGS):
            figure(outcome).savefig(path, dpi=120)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def svg(outcome: Found, *, narrow: bool = False) -> str:
    """The picture as an SVG element with a title and a description, in the colours of the page."""
    buffer = io.BytesIO()
    with rc_context(_SETTINGS):
        figure(outcome, narrow=narrow).savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True
        )
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    mark = "narrow" if narrow else "wide"
    text = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{mark}-", text)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name}, {colour})")
    begin, _, rest = text.partition(">")
    said = f'<title id="{mark}-title">{escape(_title(outcome))}</title>'
    said += f'<desc id="{mark}-desc">{escape(_said(outcome))}</desc>'
    return f'{begin} role="img" aria-labelledby="{mark}-title {mark}-desc">{said}{rest}'


def figure(outcome: Found, *, narrow: bool = False) -> Figure:
    """The picture, for wide screens or for phones."""
    reports = outcome.reports
    suggestions = [each for each in outcome.suggestions if not each.group and each.tried]
    groups = _groups(outcome)
    heights = [2.3, *(1.15 for _ in reports), *(2.7 for _ in outcome.crests), *(2.5 for _ in suggestions)]
    heights += [0.8 + 0.26 * len(each) for each in groups]
    drawn = Figure(figsize=(_NARROW if narrow else _WIDE, sum(heights) + 0.4), layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    with rc_context({"text.color": COLOURS["ink"]}):
        places = iter(axes)
        requests_panel(next(places), reports[0], narrow=narrow)
        most = max((step.refused for report in reports for step in bars(report, narrow=narrow)[0]), default=0)
        for report in reports:
            refused_panel(next(places), report, most, last=report is reports[-1], narrow=narrow)
        for crests in outcome.crests:
            clients_panel(next(places), crests, outcome, narrow=narrow)
        for suggestion in suggestions:
            tried_panel(next(places), suggestion, narrow=narrow)
        for each in groups:
            groups_panel(next(places), each, narrow=narrow)
    return drawn


def _groups(outcome: Found) -> list[list[Suggestion]]:
    """The suggestions for groups of requests, for each period."""
    periods = dict.fromkeys(each.period for each in outcome.suggestions if each.group)
    return [[each for each in outcome.suggestions if each.group and each.period == period] for period in periods]


def _title(outcome: Found) -> str:
    return f"Replay of {outcome.reports[0].name}"


def _said(outcome: Found) -> str:
    """The description of the picture."""
    main = outcome.reports[0]
    if main.first is None or main.last is None:
        return "The log holds no request."
    said = f"{number(main.requests)} requests from {moment(main.first)} to {moment(main.last)} UTC."
    for report in outcome.reports:
        said += (
            f" Under {report.name} {number(report.refused)} ({percent(report.refused, report.requests)}) are refused, "
            f"of {clients(report.touched)} ({percent(report.touched, report.clients)})."
        )
    for each in outcome.suggestions:
        about = f" for {each.group}" if each.group else ""
        said += f" Suggested{about}: {each.rate or 'no limit'}."
    return said
