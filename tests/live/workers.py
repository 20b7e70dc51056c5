"""Workers that share a store, each with a live page, and what a page of one of them shows."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from time import monotonic, sleep

from traffik import Limiter
from traffik.live.pages import LivePage

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20  # seconds
TOKEN = "a token of readers"

WORKER = """
import sys
from traffik import Limiter
from traffik.backends.{kind} import {name}
from traffik.live.pages import LivePage
with {name}(sys.argv[1]) as store, LivePage(token="a token of readers"):
    limiter = Limiter("shared", "50/hour", backend=store)
    for _ in range(25):
        limiter.sync.hit("ada")
    print("ready", flush=True)
    for line in sys.stdin:  # what comes is a client to hit
        print(limiter.sync.hit(line.strip()).degraded, flush=True)
"""


class Workers:
    """Four workers that have hit a limit of 50, 25 times each, and a page in this process."""

    def __init__(self, page, workers):
        self.page, self._workers = page, workers

    def state_when(self, is_reached):
        """What the page shows, once that is reached."""
        deadline = monotonic() + PATIENCE
        while True:
            self.page.tick()
            state = self.page.state()
            if is_reached(state) or monotonic() > deadline:
                return state
            sleep(0.1)  # the others write once a second, by the clock of the machine

    def hit(self, client):
        """Let each worker hit; why each decision was degraded."""
        for worker in self._workers:
            print(client, file=worker.stdin, flush=True)
        return [worker.stdout.readline().strip() for worker in self._workers]


@contextmanager
def four_workers(kind, name, place):
    command = [sys.executable, "-c", WORKER.format(kind=kind, name=name), str(place)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with ExitStack() as stack:
        workers = [stack.enter_context(subprocess.Popen(command, **pipes)) for _ in range(4)]
        store = stack.enter_context(getattr(import_module(f"traffik.backends.{kind}"), name)(place))
        page = stack.enter_context(LivePage(act_token=TOKEN))
        limiter = Limiter("shared", "50/hour", backend=store)
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 4
        yield Workers(page, workers)
        for worker in workers:
            worker.stdin.close()
        assert limiter.uid == "shared"  # it is known here while the workers run


def counts_of(state):
    (throttle,) = (each for each in state["throttles"] if each["throttle"] == "shared")
    return throttle["admitted"], throttle["refused"]
