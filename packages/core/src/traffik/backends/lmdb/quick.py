"""The hot path of the store: one charge of one limit, written out from the lock to the lock.

It does what `Visitor.apply` does, which it leaves everything to that is not of every day. What it needs stands in local
variables, and is looked up once.
"""

from __future__ import annotations

from collections.abc import Callable
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from marshal import dumps, loads
from typing import TYPE_CHECKING, Final, TypeAlias
from zlib import crc32

import lmdb

from traffik.backends.base import Charge
from traffik.backends.lmdb.charging import EVERY, Sitting
from traffik.backends.lmdb.files import locked
from traffik.backends.lmdb.states import FORMAT, HEAD, key_in, text_of, written

if TYPE_CHECKING:
    from traffik.backends.lmdb.visits import Visitor
    from traffik.decisions import Decision
    from traffik.strategies import Plan

__all__ = ["Attempt", "attempts"]

Attempt: TypeAlias = "Callable[[str, int], Decision | None]"
"""Decides on a local key and a cost; None if the file is busy."""

_TRY: Final = LOCK_EX | LOCK_NB


def attempts(visitor: Visitor, uid: str, plan: Plan) -> Attempt:
    """What charges one limit; it raises what `Visitor.apply` does."""
    book, clock, kernel, environments = visitor.book, visitor.clock, plan.kernel, visitor.shelf.environments
    count, prefix, tag, simple = len(environments), book.prefix(uid), book.tag(plan), plan.twins is not None
    unpack, pack, size, durable = HEAD.unpack_from, HEAD.pack, HEAD.size, book.durable

    def attempt(key: str, cost: int) -> Decision | None:
        text = text_of(key)
        environment, opened = environments[crc32(text) % count], None
        lock = environment.lock
        if not lock.acquire(False):
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
            try:
                transaction = opened.begin(None, None, True)
            except lmdb.Error:
                return long_way(key, cost)
            try:
                decision = charge(Sitting(opened, transaction, now), text, cost)
            except lmdb.Error:
                transaction.abort()
                return long_way(key, cost)  # where it is mended
            finally:
                transaction.abort()  # which does nothing to one that has been kept
            if opened.cramped:
                environment.grow(opened)
            return decision
        finally:
            if opened is not None and environment.opened is opened:
                flock(opened.fd, LOCK_UN)
            lock.release()

    def charge(sitting: Sitting, text: bytes, cost: int) -> Decision:
        transaction, now = sitting.transaction, sitting.now
        name = key_in(prefix, text)
        value = transaction.get(name)
        if value is None:
            decision = book.arrive(sitting, plan, prefix, text, cost)
            if not sitting.wrote:
                return decision
        else:
            body, state = value[size:], None
            if body:
                found, _, checksum = unpack(value)
                if found == tag and checksum == crc32(body):
                    state = loads(body)  # noqa: S302 - as in `readable`
            decision, changed, ttl = kernel(state, cost, now)
            if changed is None:
                return decision
            if simple:
                body = dumps(changed, FORMAT)
                transaction.put(name, pack(tag, now + ttl, crc32(body)) + body)
            else:
                transaction.put(name, written(plan, tag, now + ttl, changed))
        opened = sitting.opened
        if durable or opened.writes % EVERY == EVERY - 1:
            book.upkeep(sitting)
        else:
            opened.writes += 1
        transaction.commit()
        return decision

    def long_way(key: str, cost: int) -> Decision | None:
        decisions = visitor.apply((Charge(uid, plan, key, cost),))
        return None if decisions is None else decisions[0]

    return attempt
