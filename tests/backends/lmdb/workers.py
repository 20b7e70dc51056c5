"""Worker processes that share files, run commands of the tests, and can be stopped and killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from typing import Any

from traffik import FixedWindow, Limiter
from traffik.backends.lmdb import LMDBBackend

PATIENCE = 20  # seconds for an answer


class Worker:
    """A process with a limiter on the files of a directory.

    Args:
        directory: of the files.
        rate: the limiter's.
        strategy: the limiter's.
        uid: the limiter's.
        options: the store's.
    """

    def __init__(self, directory, rate="3/day", strategy=None, uid="workers", **options):
        context = multiprocessing.get_context("fork")
        self._pipe, there = context.Pipe()
        strategy = strategy or FixedWindow()
        options = {"on_error": "raise", "deadline": 10, "changes_within": None, **options}
        self.process = context.Process(target=_work, args=(there, directory, uid, rate, strategy, options), daemon=True)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.join(PATIENCE)
        self._pipe.close()

    @property
    def pid(self):
        return self.process.pid

    def hit(self, key="ada", cost=1):
        """Hit; the decision, or the error that was raised."""
        self.begin(key, cost)
        return self.answer()

    def begin(self, key="ada", cost=1):
        self._pipe.send((key, cost))

    def answer(self) -> Any:
        assert self._pipe.poll(PATIENCE), "the worker does not answer"
        return self._pipe.recv()

    def wait_stopped(self):
        """Wait until a signal has stopped the process."""
        assert os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT) is not None

    def cont(self):
        os.kill(self.pid, signal.SIGCONT)

    def wait_dead(self):
        self.process.join(PATIENCE)
        assert self.process.exitcode == -signal.SIGKILL


def _work(pipe, directory, uid, rate, strategy, options):
    limiter = Limiter(uid, rate, strategy=strategy, backend=LMDBBackend(directory, **options)).sync
    while True:
        key, cost = pipe.recv()
        try:
            answer = limiter.hit(key, cost)
        except Exception as error:  # noqa: BLE001 - it is the answer
            traceback.print_exc()
            answer = error
        pipe.send(answer)
