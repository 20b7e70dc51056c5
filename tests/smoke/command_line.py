"""A new user's first steps with the command line: it replays synthetic traffic, draws it, and has its own files."""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

TRAFFIC = ("--synthetic", "hours=3,requests=300", "--rate", "20/min")

command = Path(sysconfig.get_path("scripts")) / ("traffik.exe" if sys.platform == "win32" else "traffik")
with tempfile.TemporaryDirectory() as folder:
    page = Path(folder) / "report.html"
    said = subprocess.run(
        [command, "replay", *TRAFFIC, "--html", page], check=True, capture_output=True, text=True
    ).stdout
    assert "198.51.100.23" in said
    assert "</html>" in page.read_text(encoding="utf-8")
assert '"$schema"' in subprocess.run([command, "schema"], check=True, capture_output=True, text=True).stdout
print("the command line: ok")
