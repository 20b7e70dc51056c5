"""Opens pages in a headless Chromium, and returns the document and the messages of the console.

The browser is the one that the variable names, the one on the PATH, or that of playwright.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

VARIABLE = "TRAFFIK_CHROMIUM"
MISSING = f"no Chromium on this machine: install one, or name it in {VARIABLE}; what is in the page is tested without"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class Opened(NamedTuple):
    """A page after its scripts have run: its document, and the messages on the console."""

    document: str
    console: list[str]


def find():
    """Find the program; None if there is none.

    Raises:
        FileNotFoundError: the variable names one that does not exist.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if shutil.which(named) is None:
            raise FileNotFoundError(f"{VARIABLE} names {named!r}, which is no program")
        return named
    return next(filter(None, map(shutil.which, NAMES)), None) or of_playwright()


def of_playwright():
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return None
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def open_page(program, path, profile):
    """Open the page at `path` without a network."""
    command = [
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr",
        "--virtual-time-budget=2000",
        f"--user-data-dir={profile}",
        "--dump-dom",
        path.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return Opened(done.stdout, re.findall(r"CONSOLE.*", done.stderr))
