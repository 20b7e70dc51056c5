"""The hot path of the store: one charge of one limit, written out from the lock to the lock.

It does what `Visitor.apply` does, which it leaves everything to that is not of every day. What it needs stands in local
variables, and is looked up once.
"""

from __future__ import annotations

from collections.abc import Callable
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from marshal import dumps, loads
from typing import TYPE_CHECKING, Final
from zlib import crc32

from traffik.backends.base import Charge
from traffik.backends.lmdb.charging import EVERY
from traffik.backends.lmdb.files import locked
from traffik.backends.lmdb.states import FORMAT, HEAD, key_in, written

if TYPE_CHECKING:
    from traffik.backends.lmdb.visits import Visitor
    from traffik.decisions import Decision
    from traffik.strategies import Plan

__all__ = ["Attempt", "attempts"]

Attempt = Callable[[str, int], "Decision | None"]
"""Decides on a local key and a cost; None if the file is busy."""

_TRY: Final = LOCK_EX | LOCK_NB


def attempts(visitor: Visitor, uid: str, plan: Plan) -> Attempt:
    """What charges one limit.

    It raises what `Visitor.apply` does; then nothing has been counted, and that may be asked next, which mends more.
    """
    environment, book, clock, kernel = visitor.environment, visitor.book, visitor.clock, plan.kernel
    acquire, release = environment.lock.acquire, environment.lock.release
    prefix, tag, simple, marked = book.prefix(uid), book.tag(plan), plan.twins is not None, book.durable
    unpack, pack, size = HEAD.unpack_from, HEAD.pack, HEAD.size

    def attempt(key: str, cost: int) -> Decision | None:
        name = key_in(prefix, key)
        opened = None
        if not acquire(False):
            return None
        try:
            opened = environment.opened
            if opened is None:
                return long_way(key, cost)
            try:
                flock(opened.fd, _TRY)
            except BlockingIOError:
                if not locked(opened.fd):
                    return None
            now = clock() // 1000 + opened.offset
            if now >= opened.look_at:
                return long_way(key, cost)
            transaction = opened.begin(None, None, True)
            try:
                value = transaction.get(name)
                if value is None:
                    decision = book.arrive(opened, transaction, prefix, plan, key, cost, now)
                else:
                    body, state = value[size:], None
                    if len(body) and value.startswith(tag) and unpack(value)[2] == crc32(body):
                        state = loads(body)  # noqa: S302 - as in `readable`
                    decision, changed, ttl = kernel(state, cost, now)
                    if changed is None:
                        return decision
                    if simple:
                        body = dumps(changed, FORMAT)
                        transaction.put(name, pack(tag, now + ttl, crc32(body)) + body)
                    else:
                        transaction.put(name, written(plan, tag, now + ttl, changed))
                opened.writes += 1
                if marked or not opened.writes % EVERY:
                    book.upkeep(opened, transaction, now)
                transaction.commit()
            finally:
                transaction.abort()
            if opened.cramped:
                environment.grow(opened)
            return decision
        finally:
            if opened is not None and environment.opened is opened:
                flock(opened.fd, LOCK_UN)
            release()

    def long_way(key: str, cost: int) -> Decision | None:
        decisions = visitor.apply((Charge(uid, plan, key, cost),))
        return None if decisions is None else decisions[0]

    return attempt
