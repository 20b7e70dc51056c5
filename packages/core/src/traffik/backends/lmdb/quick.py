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
from traffik.backends.lmdb.states import FORMAT, HEAD, LONGEST, key_in, text_of, written
from traffik.backends.lmdb.unkept import FullError

if TYPE_CHECKING:
    from traffik.backends.lmdb.environments import Opened
    from traffik.backends.lmdb.visits import Visitor
    from traffik.model.decisions import Decision
    from traffik.strategies import Plan

__all__ = ["Attempt", "attempts"]

Attempt: TypeAlias = "Callable[[str, int], Decision | None]"
"""Decides on a local key and a cost; None if the file is busy."""

_TRY: Final = LOCK_EX | LOCK_NB
_NOTHING: Final = (b"", 0, 0)


def attempts(visitor: Visitor, uid: str, plan: Plan) -> Attempt:
    """What charges one limit; it raises what `Visitor.apply` does."""
    book, clock, kernel, environments = visitor.book, visitor.clock, plan.kernel, visitor.shelf.environments
    count, prefix, tag, simple = len(environments), book.prefix(uid), book.tag(plan), plan.twins is not None
    unpack, pack, size, durable = HEAD.unpack_from, HEAD.pack, HEAD.size, book.durable

    def attempt(key: str, cost: int) -> Decision | None:
        try:
            text = key.encode()
        except UnicodeEncodeError:
            text = text_of(key)
        environment, opened = environments[crc32(text) % count], None
        lock = environment.lock
        if not lock.acquire(False):
            return None
        if environment.within:
            lock.release()
            return long_way(key, cost)  # which says why not
        try:
            environment.within = True
            opened = environment.opened
            if opened is None:
                environment.within = False
                return long_way(key, cost)
            try:
                flock(opened.fd, _TRY)
            except BlockingIOError:
                if not locked(opened.fd):
                    return None
            now = clock() // 1000 + opened.offset
            if now >= opened.look_at:
                environment.within = False
                return long_way(key, cost)
            try:
                decision = charge(opened, text, cost, now)
            except (lmdb.Error, FullError):
                environment.within = False
                return long_way(key, cost)  # where it is mended
            if opened.cramped:
                environment.grow(opened)
            return decision
        finally:
            environment.within = False
            if opened is not None and environment.opened is opened:
                flock(opened.fd, LOCK_UN)
            lock.release()

    def charge(opened: Opened, text: bytes, cost: int, now: int) -> Decision:
        name = prefix + text if len(text) <= LONGEST else key_in(prefix, text)
        transaction = opened.begin(None, None, True)
        try:
            value = transaction.get(name)
            if value is None:
                sitting = Sitting(opened, transaction, now)
                decision, wrote = book.arrive(sitting, plan, prefix, text, cost), sitting.wrote
            else:
                body = value[size:]
                found, _, checksum = unpack(value) if body else _NOTHING
                sound = found == tag and checksum == crc32(body)
                state = loads(body) if sound else None  # noqa: S302 - as in `readable`
                decision, changed, ttl = kernel(state, cost, now)
                wrote = changed is not None
                if changed is not None:
                    if simple:
                        body = dumps(changed, FORMAT)
                        transaction.put(name, pack(tag, now + ttl, crc32(body)) + body)
                    else:
                        transaction.put(name, written(plan, tag, now + ttl, changed))
            if not wrote:
                transaction.abort()
                return decision
            if durable or opened.writes % EVERY == EVERY - 1:
                book.upkeep(Sitting(opened, transaction, now))
            else:
                opened.writes += 1
            transaction.commit()
        except BaseException:  # whatever it is, also an interrupt: nothing may stay half written
            transaction.abort()
            raise
        return decision

    def long_way(key: str, cost: int) -> Decision | None:
        decisions = visitor.apply((Charge(uid, plan, key, cost),))
        return None if decisions is None else decisions[0]

    return attempt
