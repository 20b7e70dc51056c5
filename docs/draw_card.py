"""Draws docs/images/card.png, the picture that a link to the site shows in a chat or a feed, with a Chromium.

python -m docs.draw_card
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from docs.pictures import IMAGES
from tests.cli.browser import MISSING, find

SIZE = (1200, 630)  # pixels, as the services that show cards ask for
FACTS = ("The number you write", "Exact waits", "Memory, LMDB, Redis")
FRAMEWORKS = "FastAPI, Django, aiohttp, Flask, Litestar"
PAGE = """\
<!doctype html>
<meta charset="utf-8">
<style>
  * {{ margin: 0; box-sizing: border-box; }}
  body {{ width: {wide}px; height: {high}px; padding: 64px 80px; color: #fff; overflow: hidden;
    background: #00695c; font-family: "DejaVu Sans", sans-serif; }}
  header {{ display: flex; align-items: center; gap: 28px; font-size: 64px; font-weight: bold; }}
  header svg {{ width: 92px; }}
  h1 {{ margin: 48px 0 16px; font-size: 46px; line-height: 1.2; white-space: nowrap; }}
  p {{ margin-bottom: 44px; font-size: 31px; color: #b2dfdb; }}
  pre {{ padding: 26px 32px; border-radius: 12px; background: #003d33; font: 29px/1.5 "DejaVu Sans Mono", monospace; }}
  b {{ color: #ffcc80; font-weight: normal; }}
  footer {{ display: flex; justify-content: space-between; margin-top: 40px; font-size: 29px; color: #b2dfdb; }}
</style>
<header>{logo} traffik</header>
<h1>Rate limiting for Python web services</h1>
<p>{frameworks}</p>
<pre>throttle = HTTPThrottle(uid=<b>"api:data"</b>, rate=<b>"100/min"</b>)
await throttle.hit(request)  # or answers 429</pre>
<footer>{facts}</footer>
"""


def main() -> None:
    """Write the picture."""
    program = find()
    if program is None:
        sys.exit(MISSING)
    logo = (IMAGES.parent / "assets" / "logo.svg").read_text(encoding="utf-8")
    facts = "".join(f"<span>{fact}</span>" for fact in FACTS)
    wide, high = SIZE
    with TemporaryDirectory() as folder:
        page = Path(folder) / "card.html"
        text = PAGE.format(wide=wide, high=high, logo=logo, frameworks=FRAMEWORKS, facts=facts)
        page.write_text(text, encoding="utf-8")
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/user")
        picture = f"--screenshot={IMAGES / 'card.png'}"
        subprocess.run([program, *options, f"--window-size={wide},{high}", picture, page.as_uri()], check=True)


if __name__ == "__main__":
    main()
