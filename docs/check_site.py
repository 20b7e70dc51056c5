"""Checks a built site: its pages load nothing from other hosts, so they read without a network and tell no one.

python docs/check_site.py site
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

__all__ = ["foreign"]

_LOADING: Final = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch", "manifest"}
"""What a link in the head is for, if the browser follows it by itself."""

_ASKS_THE_HOST: Final = 'data-md-component="source"'
"""Where the theme's script finds it, it asks the host of the repository for the number of stars."""

_IN_STYLES: Final = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")


class _Loaded(HTMLParser):
    """The addresses that the browser loads for a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and not _LOADING & set(given.get("rel", "").split()):
            return
        names = ("href",) if tag == "link" else ("src", "data", "poster")
        self.addresses += [given[name] for name in names if name in given]
        self.addresses += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]


def foreign(page: str) -> list[str]:
    """The addresses of other hosts that a page or a style sheet loads, or asks by a script of the theme."""
    loaded = [*_Loaded(page).addresses, *_IN_STYLES.findall(page)]
    asked = [_ASKS_THE_HOST] * (_ASKS_THE_HOST in page)
    return [address for address in loaded if urlsplit(address).netloc] + asked


def main(folder: str) -> int:
    """Print what is wrong with each page. Returns the status to exit with."""
    files = sorted(path for path in Path(folder).rglob("*") if path.suffix in {".html", ".css", ".svg"})
    found = [(path, address) for path in files for address in foreign(path.read_text(encoding="utf-8"))]
    for path, address in found:
        print(f"{path} loads {address}", file=sys.stderr)  # noqa: T201 - a program
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
