"""A fleet on one store: processes with their own slices and clocks, which can be killed, suspended and cut off."""

from __future__ import annotations

from traffik import BackendError, Limiter
from traffik.backends.base import Backend
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.slices import SlicedBackend
from traffik.testing import VirtualClock

SHARE, LIFE = 0.05, 0.1


class Link(Backend):
    """The way of one process to the store, which can be cut."""

    in_process = True

    def __init__(self, store):
        super().__init__()
        self.store = store
        self.cut = False
        self.calls = 0

    def _reached(self):
        self.calls += 1
        if self.cut:
            raise BackendError("the store does not answer")
        return self.store

    def apply_sync(self, charges):
        return self._reached().apply_sync(charges)

    async def apply(self, charges):
        return self.apply_sync(charges)

    def account(self, uid, plan):
        account = self.store.account(uid, plan)
        account.store = self
        return account

    def take(self, takes, kind, *, sync, back=()):
        return self._reached().take(takes, kind, sync=sync, back=back)

    def post(self, postings, *, sync):
        return self._reached().post(postings, sync=sync)

    def open_sync(self):
        self._reached()

    async def open(self):
        self._reached()

    def close_sync(self):
        """The store goes on for the others."""

    async def close(self):
        """As `close_sync`."""

    def reset_sync(self, uid=None, key=None):
        self._reached().reset_sync(uid, key)

    async def reset(self, uid=None, key=None):
        self.reset_sync(uid, key)


class Process:
    """One process: its clock, its way to the store, and a limiter."""

    def __init__(self, fleet, offset=0):
        self.skew = offset
        self.link = Link(fleet.store)
        self.backend = SlicedBackend(self.link, share=SHARE, life=LIFE, clock=lambda: fleet.clock() + self.skew)
        self.whole = Limiter("fleet", fleet.rate, strategy=fleet.strategy, backend=self.backend)
        self.limiter = self.whole.sync

    def hit(self, cost=1):
        try:
            return bool(self.limiter.hit("hot", cost))
        except BackendError:
            return False


class Fleet:
    """Processes on one store, and when each unit was spent, in µs of the true time."""

    def __init__(self, strategy, rate, processes):
        self.strategy, self.rate = strategy, rate
        self.clock = VirtualClock()
        self.behind = 0
        self.store = InMemoryBackend(clock=lambda: self.clock() - self.behind)
        self.processes = [Process(self, offset=7_000_000_000 * number) for number in range(processes)]
        self.spent = []

    @property
    def now(self):
        return self.clock() // 1000

    def hit(self, number, cost=1):
        admitted = self.processes[number].hit(cost)
        if admitted:
            self.spent.append((self.now, cost))
        return admitted

    def kill(self, number):
        """End a process with all it has, and start another one."""
        self.processes[number] = Process(self)

    def most_in(self, period):
        """The most units spent in any window of `period` µs."""
        most = units = first = 0
        for time, cost in self.spent:
            units += cost
            while self.spent[first][0] <= time - period:
                units -= self.spent[first][1]
                first += 1
            most = max(most, units)
        return most
