"""A store in memory that notes its charges, and may suspend before each of them, like a store on a network."""

from __future__ import annotations

from dataclasses import replace

from anyio.lowlevel import checkpoint

from traffik.backends.inmemory import InMemoryBackend


class RecordingBackend(InMemoryBackend):
    """Notes ``(key, cost, allowed)`` of each charge in `charged`; with `remote`, async charges suspend first.

    Charges get the decisions in `answers` until it is empty.
    """

    def __init__(self, *, remote=False, **options):
        super().__init__(**options)
        self.remote = remote
        self.charged = []
        self.answers = []

    def prepare(self, uid, plan, *, sync):
        calls = super().prepare(uid, plan, sync=sync)

        def charge(key, cost):
            decision = self.answers.pop(0) if self.answers else calls.charge(key, cost)
            self.charged.append((key, cost, decision.allowed))
            return decision

        async def suspend_and_charge(key, cost):
            await checkpoint()
            return charge(key, cost)

        return replace(calls, charge=suspend_and_charge if self.remote and not sync else charge)

    @property
    def admitted(self):
        """The costs that were admitted, in order."""
        return [cost for _, cost, allowed in self.charged if allowed]

    @property
    def refused(self):
        """The number of refused charges."""
        return sum(not allowed for _, _, allowed in self.charged)
