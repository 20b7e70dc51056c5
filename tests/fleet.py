"""Hits on one key from several processes at once, with the times at which each was called and returned.

The processes are new interpreters, or forks, which start faster. Their times are comparable, since they share the
monotonic clock of the machine.
"""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from typing import Any

from tests.promises.histories import Hit, linearizable
from traffik import Decision, Limiter, Rate
from traffik.backends.base import Backend
from traffik.strategies import Plan, Strategy, plan

BURST = 8
PATIENCE = 30.0  # seconds for a worker to end
_NOW = 1_700_000_000_000_000
_WORKER = (sys.executable, "-W", "error", "-c", "from tests.fleet import work; work()")


@dataclass(frozen=True)
class Order:
    """What each process does, apart from the costs.

    Attributes:
        store: ``module:name`` of a function that makes a store from `url`.
        url: the argument of that function, such as the URL of a server.
        strategy: the limiter's, of a class that the processes can import.
        rate: the limiter's. For `explained`, so slow that no unit comes back during the hits.
        uid: the limiter's.
        key: the identity that is hit.
        tasks: how many async tasks of each process hit at a time; 0 is sync code.
        pause: the longest random pause after every `BURST` hits of sync code, in seconds.
    """

    store: str
    url: str
    strategy: Strategy
    rate: Rate
    uid: str = "fleet"
    key: str = "hot"
    tasks: int = 0
    pause: float = 0

    @property
    def plan(self) -> Plan:
        return plan(self.strategy, [self.rate])

    def make(self) -> Backend:
        module, _, name = self.store.partition(":")
        store: Backend = getattr(import_module(module), name)(self.url)
        return store

    def limiter(self, store: Backend) -> Limiter:
        return Limiter(self.uid, self.rate, strategy=self.strategy, backend=store)


def record(order: Order, costs_of_processes: Iterable[Sequence[int]]) -> list[list[Hit]]:
    """Start a process for each sequence of costs, and let all hit at the same time when all are ready; their histories.

    Raises:
        EOFError: a process has died; its output is on standard error.
    """
    every = list(costs_of_processes)
    with _at_work(len(every)) as workers:
        for worker, costs in zip(workers, every, strict=True):
            _tell(worker, (order, list(costs)))
        for worker in workers:
            _hear(worker)
        for worker in workers:
            _tell(worker, "go")
        return [_hear(worker) for worker in workers]


def record_forked(order: Order, costs_of_processes: Iterable[Sequence[int]]) -> list[list[Hit]]:
    """The same as `record`, with forks of this process.

    Raises:
        EOFError: a process has died.
    """
    context = multiprocessing.get_context("fork")
    ends = []
    for costs in costs_of_processes:
        here, there = context.Pipe()
        process = context.Process(target=_fork, args=(order, costs, there), daemon=True)
        process.start()
        there.close()
        ends.append((here, process))
    for here, _ in ends:
        here.recv()
    for here, _ in ends:
        here.send("go")
    histories = [here.recv() for here, _ in ends]
    for _, process in ends:
        process.join(PATIENCE)
    return histories


def admitted(histories: Iterable[Iterable[Hit]]) -> int:
    """The units that were admitted."""
    return sum(hit.cost for hit in chain.from_iterable(histories) if hit.decision.allowed)


def explained(histories: Iterable[Iterable[Hit]], plan: Plan) -> bool:
    """Whether some order of the hits explains all decisions, apart from what depends on the time."""

    def seen(decision: Decision) -> tuple[bool, int]:
        return decision.allowed, decision.remaining

    def at(now: int) -> Callable[[Any, int], tuple[Any, Any]]:
        def decide(state: Any, cost: int) -> tuple[tuple[bool, int], Any]:
            if cost > plan.ceiling:  # decided without a store
                return seen(plan.without_store(cost)), None
            decision, changed, _ = plan.kernel(state, cost, now)
            return seen(decision), changed

        return decide

    moments = [_NOW]
    if getattr(plan.strategy, "debt", 0):
        # If exactly all units are taken, the debt can be used only after some time has passed.
        moments += [_NOW + rate.period // rate.limit // 2 for rate in plan.rates]
    hits = [hit._replace(decision=seen(hit.decision)) for hit in chain.from_iterable(histories)]
    return bool(linearizable(hits, *map(at, moments)))


# Starting an interpreter takes longer than most histories, so workers stay for further orders.
_workers: list[subprocess.Popen[bytes]] = []


@contextmanager
def _at_work(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many workers, ready for an order each; after an error, none is kept."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)}
    while len(_workers) < count:
        _workers.append(subprocess.Popen(_WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ))
    try:
        yield _workers[:count]
    except BaseException:
        for worker in _workers:
            worker.kill()
        _end_workers()
        raise


@atexit.register
def _end_workers() -> None:
    while _workers:
        with _workers.pop() as worker:  # closes its input, at which it ends
            pass
        worker.wait(PATIENCE)


def _tell(worker: subprocess.Popen[bytes], message: object) -> None:
    assert worker.stdin is not None
    pickle.dump(message, worker.stdin)
    worker.stdin.flush()


def _hear(worker: subprocess.Popen[bytes]) -> Any:
    assert worker.stdout is not None
    return pickle.load(worker.stdout)


def work() -> None:
    """The main function of a process: it carries out one order after another, until there are no more."""
    # Standard output carries the answers, so prints must go elsewhere.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)

        def answer(message: object) -> None:
            pickle.dump(message, answers)
            answers.flush()

        def barrier() -> None:
            answer("ready")
            pickle.load(sys.stdin.buffer)

        while sys.stdin.buffer.peek(1):
            order, costs = pickle.load(sys.stdin.buffer)
            answer(_history(order, costs, barrier))


def _fork(order: Order, costs: Sequence[int], parent: Any) -> None:
    def barrier() -> None:
        parent.send("ready")
        parent.recv()

    parent.send(_history(order, costs, barrier))


def _history(order: Order, costs: Sequence[int], barrier: Callable[[], None]) -> list[Hit]:
    return asyncio.run(_hit(order, costs, barrier)) if order.tasks else _hit_sync(order, costs, barrier)


def _hit_sync(order: Order, costs: Sequence[int], barrier: Callable[[], None]) -> list[Hit]:
    history = []
    with order.make() as store:
        limiter = order.limiter(store).sync
        limiter.check(order.key)
        barrier()
        for number, cost in enumerate(costs):
            if order.pause and number % BURST == 0:
                time.sleep(random.uniform(0, order.pause))
            called = time.monotonic_ns()
            decision = limiter.hit(order.key, cost)
            history.append(Hit(called, time.monotonic_ns(), cost, decision))
    return history


async def _hit(order: Order, costs: Sequence[int], barrier: Callable[[], None]) -> list[Hit]:
    history = []

    async def task(costs: Sequence[int]) -> None:
        for cost in costs:
            called = time.monotonic_ns()
            decision = await limiter.hit(order.key, cost)
            history.append(Hit(called, time.monotonic_ns(), cost, decision))

    async with order.make() as store:
        limiter = order.limiter(store)
        await limiter.check(order.key)
        barrier()
        await asyncio.gather(*(task(costs[number :: order.tasks]) for number in range(order.tasks)))
    return history
