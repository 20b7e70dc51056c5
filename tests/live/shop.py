"""A small shop with throttles, clients of it, and its live page: what the browser tests and the pictures show."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager

from starlette.applications import Starlette

from tests.servers import serve
from traffik import Limiter
from traffik.backends.inmemory import InMemoryBackend
from traffik.live import pages
from traffik.live.pages import LivePage
from traffik_starlette.live import live_app

TOKEN = "the token of operators"
HOSTILE = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"


@contextmanager
def shop(**options):
    """The address of the page of a shop without visitors so far, its limiters by uid, and the page."""
    store = InMemoryBackend()
    limiters = {
        "login": Limiter("login", "5/min", backend=store),
        "api:search": Limiter("api:search", "60/min; 1000/hour", backend=store),
        "api:upload": Limiter("api:upload", "10/min", backend=store, shadow=True),
    }
    app = Starlette(lifespan=store.lifespan)
    with LivePage(act_token=TOKEN, show_keys=True, **options) as page:
        app.mount("/limits", live_app(page))
        with serve(app) as address:
            yield f"http://{address}/limits/", limiters, page


def visit(limiters, page, monkeypatch, minutes=10):
    """Ten minutes of the same visitors, at once: the page sees the time pass."""
    chance, now = random.Random(7), time.time()
    clients = ["203.0.113.7", "198.51.100.23", "2001:db8:7::/64", "192.0.2.99", "user:4711"]
    for step in range(minutes * 12):
        burst = 6 if 60 <= step < 80 else 1
        for name, limiter in limiters.items():
            for _ in range(chance.randint(1, 9) * burst):
                limiter.sync.hit(chance.choice(clients))
            if step % 20 == 0:
                for client in clients:
                    limiter.sync.reset(f"{client}")
            assert name
        monkeypatch.setattr(pages.time, "time", lambda at=now - (minutes * 12 - step) * 5: at)
        page.tick()
    monkeypatch.undo()
    page.tick()
