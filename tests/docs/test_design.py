"""The drawing of the rooms matches the imports."""

from __future__ import annotations

import subprocess
import sys

from tests.docs.pages import ROOT


def test_the_drawing_of_the_rooms_is_up_to_date():
    done = subprocess.run([sys.executable, ROOT / "docs" / "draw_rooms.py", "--check"], check=False)
    assert done.returncode == 0, "run python docs/draw_rooms.py"
