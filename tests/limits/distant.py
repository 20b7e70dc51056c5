"""A store in memory that suspends before and after each call, like a store on a network, and that can fail."""

from __future__ import annotations

from typing import ClassVar

from anyio.lowlevel import checkpoint

from traffik.backends.inmemory import InMemoryBackend


class DistantBackend(InMemoryBackend):
    """Notes the units of calls in `taken` and `posted`. Errors in `cut` and `answers_lost` make calls fail.

    Attributes:
        cut: errors of the next calls, which are not executed.
        answers_lost: errors of the next calls, raised after they were executed.
    """

    in_process: ClassVar[bool] = False

    def __init__(self, **options):
        super().__init__(**options)
        self.taken = []
        self.posted = []
        self.cut = []
        self.answers_lost = []

    def take(self, takes, kind, *, sync, back=()):
        def work():
            self.taken.append(len(back))
            return InMemoryBackend.take(self, takes, kind, sync=sync, back=back)

        return self._do(work, sync)

    def post(self, postings, *, sync):
        def work():
            self.posted.extend(posting.units for posting in postings)
            return InMemoryBackend.post(self, postings, sync=sync)

        return self._do(work, sync)

    def _do(self, work, sync):
        if sync:
            return self._at_once(work)

        async def suspend_and_work():
            await checkpoint()
            answer = self._at_once(work)
            await checkpoint()
            return answer

        return suspend_and_work()

    def _at_once(self, work):
        if self.cut:
            raise self.cut.pop(0)
        answer = work()
        if self.answers_lost:
            raise self.answers_lost.pop(0)
        return answer
