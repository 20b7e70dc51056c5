"""Three pictures of the results, readable on light and dark pages and in grey: names beside bars, and no legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import matplotlib as mpl
from page import OURS, ROOT, numbers, ratios

__all__ = ["draw"]

IMAGES = ROOT / "docs" / "images"
INK = "#7d8590"  # enough contrast on white and on black
STRONG, WEAK = "#2f81f7", "#9aa5b1"


def draw(found: Mapping[str, Any]) -> None:
    """Write the images of the parts that were measured."""
    mpl.use("svg")
    mpl.rcParams |= {
        "svg.hashsalt": "peers",  # the same results make the same file
        "svg.fonttype": "none",  # text that can be searched and read aloud
        "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "font.size": 9,
    }
    parts = found["parts"]
    if "memory" in parts:
        values = {key: ratios(parts["memory"], key, "async") for key in parts["memory"]}
        bars("memory", "CPU of a decision in memory, to traffik's default (less is better)", values, "{:.1f} ×")
    if "redis" in parts:
        values = {key: numbers(each.get("128", ())) for key, each in parts["redis"].items()}
        bars("redis", "Hits a second of 128 callers on one Redis (more is better)", values, "{:,.0f}")
    if "delivered" in parts:
        values = {key: numbers(each.get("100 fullest", ())) for key, each in parts["delivered"].items()}
        bars("delivered", "The most that a minute admits of a limit of 100 (exact: 100)", values, "{:.0f}")


def bars(name: str, title: str, values: Mapping[str, Sequence[float]], text: str) -> None:
    """A bar for each contestant that has a value, ours in a stronger colour and with a frame."""
    from matplotlib.figure import Figure

    known = {key: median(each) for key, each in values.items() if each}
    figure = Figure(figsize=(8, 0.5 + 0.27 * len(known)), layout="constrained")
    axes = figure.subplots()
    places = range(len(known))
    ours = [key.startswith("traffik,") for key in known]
    drawn = axes.barh(
        places,
        known.values(),
        color=[STRONG if each else WEAK for each in ours],
        edgecolor=INK,
        linewidth=[1.2 if key == OURS else 0 for key in known],
    )
    axes.bar_label(drawn, [text.format(each) for each in known.values()], padding=3)
    axes.set_yticks(places, known)
    for label, strong in zip(axes.get_yticklabels(), ours, strict=True):
        label.set_fontweight("bold" if strong else "normal")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_xticks([])
    figure.savefig(IMAGES / f"peers-{name}.svg", transparent=True, metadata={"Date": None})
