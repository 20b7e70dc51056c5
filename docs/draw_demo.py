"""Runs the demo, and draws most of what it prints into docs/images/demo.svg.

python -m docs.draw_demo
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

from rich.console import Console
from rich.text import Text

from docs.pictures import IMAGES

ROOT = IMAGES.parent.parent
DRAWN = (0, 2, 3)  # of what empty lines divide: the clients, their waits, and the attacks
WIDE = 88  # characters
COLOURED = {"FORCE_COLOR": "1", "TTY_INTERACTIVE": "0", "COLUMNS": str(WIDE), "PYTHONIOENCODING": "utf-8"}


def terminal(printed: str) -> str:
    """A picture of a terminal with a text in it, in the fonts that the reader has."""
    console = Console(record=True, width=WIDE, file=io.StringIO())
    console.print(Text.from_ansi(printed))
    svg = console.export_svg(title="python3 noxfile.py -s demo", unique_id="demo")
    svg = re.sub(r"@font-face {.*?}\n", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "DejaVu Sans Mono")
    return re.sub(r"\s+$", "\n", re.sub(r" +$", "", svg, flags=re.MULTILINE))


def main() -> None:
    """Write the image."""
    command = [sys.executable, "-m", "examples.demo"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | COLOURED, stdout=subprocess.PIPE, check=True)
    parts = done.stdout.decode().split("\n\n")
    (IMAGES / "demo.svg").write_text(terminal("\n\n".join(parts[part] for part in DRAWN)), encoding="utf-8")


if __name__ == "__main__":
    main()
