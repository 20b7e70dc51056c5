"""Saves figures for the pages: text stays text, and the colours follow the light or dark page that shows them.

Draw with `INK`, `FAINT`, `STRONG`, `SOFT`, `WEAK` and `BAD` alone. `save` turns them into variables of the SVG, which
have a value for light pages and one for dark pages.
"""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

__all__ = ["BAD", "FAINT", "IMAGES", "INK", "SOFT", "STRONG", "WEAK", "follow_the_page", "looks", "save"]

IMAGES = Path(__file__).parent / "images"
INK, FAINT, STRONG, SOFT, WEAK, BAD = "#1f2933", "#d5dbe1", "#00796b", "#a7d7d0", "#9aa5b1", "#c62828"
DARK = {
    INK: "#e3e9ee",
    FAINT: "#4a555f",
    STRONG: "#4db6ac",
    SOFT: "#2a6f68",
    WEAK: "#75818d",
    BAD: "#ff8a80",
}
"""The colour on a dark page for each on a light page."""

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "traffik",  # a picture drawn twice is the same
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "legend.frameon": False,
}


def looks() -> AbstractContextManager[None]:
    """The settings to draw with."""
    return rc_context(_SETTINGS)


def save(figure: Figure, path: Path, title: str) -> None:
    """Write the figure as SVG, with a title for screen readers."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    path.write_text(follow_the_page(buffer.getvalue().decode(), DARK, title), encoding="utf-8")


def follow_the_page(svg: str, dark: dict[str, str], title: str) -> str:
    """The same SVG with variables in place of the colours that have another on dark pages."""
    svg = re.sub(r" +$", "", svg[svg.index("<svg") :], flags=re.MULTILINE)
    names = {colour: f"--c{number}" for number, colour in enumerate(dark)}
    for colour, name in names.items():
        svg = svg.replace(colour, f"var({name})")
    light = "".join(f"{name}:{colour};" for colour, name in names.items())
    night = "".join(f"{names[colour]}:{other};" for colour, other in dark.items())
    style = f"<style>:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{night}}}}}</style>"
    begin, _, rest = svg.partition(">")
    return f'{begin} role="img"><title>{title}</title>{style}{rest}'
