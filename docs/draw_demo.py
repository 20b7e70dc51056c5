"""Runs the demo, and draws what it prints, up to the first empty line, into docs/images/demo.svg.

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

DEMO = IMAGES.parent.parent / "examples" / "demo.py"
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
    done = subprocess.run([sys.executable, DEMO], env=os.environ | COLOURED, stdout=subprocess.PIPE, check=True)
    (IMAGES / "demo.svg").write_text(terminal(done.stdout.decode().partition("\n\n")[0]), encoding="utf-8")


if __name__ == "__main__":
    main()
