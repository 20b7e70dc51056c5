"""Draws the picture of a replay into docs/images/limits.svg, by the command on docs/choose-a-limit.md.

python -m docs.draw_limits
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from docs.pictures import IMAGES, follow_the_page
from traffik_cli.panels import COLOURS

COMMAND = (sys.executable, "-m", "traffik_cli")
REPLAY = ("replay", "access.log", "--rate", "30/min", "--compare", "15/min", "--top", "4", "--plot", "limits.svg")
DARK = {
    "ink": "#e3e9ee",
    "quiet": "#9fabb6",
    "grid": "#4a555f",
    "requests": "#5b8ec4",
    "refused": "#ff8178",
    "chosen": "#79b8ff",
}


def main() -> None:
    """Write the image."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "access.log").open("wb") as log:
            subprocess.run([*COMMAND, "synthetic"], cwd=folder, stdout=log, check=True)
        subprocess.run([*COMMAND, *REPLAY], cwd=folder, stdout=subprocess.DEVNULL, check=True)
        svg = (folder / "limits.svg").read_text(encoding="utf-8")
    dark = {COLOURS[name]: colour for name, colour in DARK.items()} | {"#ffffff": "none"}
    svg = follow_the_page(svg, dark | {"#000000": DARK["ink"]}, "A day's requests, and what two limits refuse of them")
    (IMAGES / "limits.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
