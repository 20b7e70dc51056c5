"""Processes of their own for parts of tests, which begin with our modules imported."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import BaseContext

PRELOADED = ["traffik.backends.redis", "traffik.backends.lmdb", "tests.events.scraping", "tests.docs.migrations.probes"]


def apart() -> BaseContext:
    """A context of `multiprocessing` whose processes are forks of one that has no more than imported these modules.

    An interpreter that is started instead would import them again, which takes longer than most parts of tests.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context
