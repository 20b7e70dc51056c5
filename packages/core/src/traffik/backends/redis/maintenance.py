"""Calls to the servers that are not hits: check settings, inspect, list and forget keys.

The functions raise a `BackendError` if a server does not answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from logging import Logger
from typing import Any, TypeAlias, TypeVar

from traffik.backends.redis.discovery import Session, learn, locate, slot_of
from traffik.backends.redis.handshake import check_greeting, greet
from traffik.backends.redis.settings import Endpoint

__all__ = ["Work", "forget", "forget_all", "inspect", "list_keys", "look_around"]

_T = TypeVar("_T")

Work: TypeAlias = Callable[[Session[Any]], Awaitable[_T]]
"""A function that calls the servers through a session."""

_PAGE = "1000"


async def look_around(log: Logger, session: Session[Any]) -> None:
    """Check that the servers can be reached, load the script into them, and warn of settings that lose quota."""
    for endpoint in await _holders(session):
        commands = (*greet(session.servers.settings), ("INFO", "memory"))
        replies = await session.ask(endpoint, *commands, unless="NOPERM")
        check_greeting(endpoint, replies[:-1])
        policy = _memory_policy(replies[-1])
        # all our keys have a ttl, so the volatile policies evict them too
        if policy not in {"", "noeviction"}:
            log.warning(
                "%s has maxmemory-policy %s: if memory runs short, it deletes keys, also of clients that are out of "
                "quota, who then have the whole quota again. Set it to noeviction, or use a server for the store alone",
                endpoint,
                policy,
            )


async def forget(key: str, session: Session[Any]) -> None:
    """Forget one key."""
    (endpoint,) = await _holders(session, key)
    await session.ask(endpoint, ("UNLINK", key))


async def forget_all(pattern: str, session: Session[Any], *, spared: bytes) -> None:
    """Forget all keys that match a pattern, but the one that is `spared`."""

    async def unlink(endpoint: Endpoint, keys: list[bytes]) -> bool:
        commands = [("UNLINK", key) for key in keys if key != spared]
        if commands:
            await session.ask(endpoint, *commands)
        return False

    await _scan(session, pattern, unlink)


async def inspect(key: str, session: Session[Any]) -> tuple[bytes | None, int]:
    """The value of a key, and ms until it expires; below 0 if there is no value."""
    (endpoint,) = await _holders(session, key)
    value, ttl = await session.ask(endpoint, ("GET", key), ("PTTL", key))
    return value, ttl


async def list_keys(pattern: str, most: int, session: Session[Any]) -> tuple[list[bytes], bool]:
    """Up to `most` keys that match a pattern, and whether these are all."""
    found: dict[bytes, None] = {}

    async def collect(_endpoint: Endpoint, keys: list[bytes]) -> bool:
        found.update(dict.fromkeys(keys))
        return len(found) > most

    more = await _scan(session, pattern, collect)
    return list(found)[:most], not more


async def _holders(session: Session[Any], key: str | None = None) -> tuple[Endpoint, ...]:
    """All servers with keys, or the one with this key."""
    if session.servers.settings.kind != "cluster":
        return (await locate(session),)
    await learn(session)
    return session.servers.nodes() if key is None else (session.servers.owner(slot_of(key)),)


async def _scan(session: Session[Any], pattern: str, take: Callable[[Endpoint, list[bytes]], Awaitable[bool]]) -> bool:
    """Pass the keys that match a pattern to `take`, page by page, until it returns True. Returns whether it did."""
    for endpoint in await _holders(session):
        cursor = b"0"
        while True:
            ((cursor, keys),) = await session.ask(endpoint, ("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE))
            if await take(endpoint, keys):
                return True
            if cursor == b"0":
                break
    return False


def _memory_policy(reply: Any) -> str:
    """The policy in the reply to ``INFO memory``; empty if it is not there."""
    lines = reply.decode("utf-8", "replace").splitlines() if isinstance(reply, bytes) else []
    return next((line.partition(":")[2] for line in lines if line.startswith("maxmemory_policy:")), "")
