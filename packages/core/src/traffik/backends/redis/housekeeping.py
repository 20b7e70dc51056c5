"""What is done with the servers besides deciding, as visits: a look at how they are set up, at keys, and forgetting."""

from __future__ import annotations

from collections.abc import Iterable
from logging import Logger
from typing import Any

from traffik.backends.redis.settings import Endpoint, Settings
from traffik.backends.redis.visits import Visit, Visits, check, check_greeting, greeting, learn, locate
from traffik.backends.redis.wire import Command

__all__ = ["forget", "look_around", "look_up", "walk"]

_PAGE = "1000"


def look_around(settings: Settings, log: Logger) -> Visits[None]:
    """See that the servers can be reached, leave the script with them, and warn of settings that lose quota.

    Raises:
        BackendError: one of them does not answer.
    """
    for endpoint in (yield from _holders(settings)):
        replies = yield Visit(endpoint, settings.login, (*greeting(settings), ("INFO", "memory")))
        check_greeting(endpoint, replies[:-1])
        policy = _memory_policy(replies[-1])
        # All our keys have a time to live, so that the volatile policies take them first.
        if policy not in {"", "noeviction"}:
            log.warning(
                "%s has maxmemory-policy %s: short of memory it forgets keys that are out of quota, and their clients "
                "begin anew. Set it to noeviction, or give the store a server of its own",
                endpoint,
                policy,
            )


def forget(settings: Settings, keys: tuple[str, bool]) -> Visits[None]:
    """Forget one key, or all that a pattern means.

    Args:
        settings: where the servers are.
        keys: the key or pattern, and whether it is a pattern.

    Raises:
        BackendError: a server does not answer.
    """
    text, is_pattern = keys
    for endpoint in (yield from _holders(settings)):
        if is_pattern:
            yield from _forget_all(settings, endpoint, text)
        else:
            (reply,) = yield Visit(endpoint, settings.login, (("UNLINK", text),))
            if not str(reply).startswith("MOVED"):
                check(endpoint, [reply])


def look_up(settings: Settings, key: str) -> Visits[tuple[bytes | None, int]]:
    """The value of a key, and ms until it is forgotten.

    Raises:
        BackendError: a server does not answer.
    """
    for endpoint in (yield from _holders(settings)):
        replies = yield Visit(endpoint, settings.login, (("GET", key), ("PTTL", key)))
        if not str(replies[0]).startswith("MOVED"):
            check(endpoint, replies)
            return replies[0], replies[1]
    return None, -2


def walk(settings: Settings, pattern: str, most: int) -> Visits[tuple[list[bytes], bool]]:
    """Keys that a pattern means, at most so many, and whether these are all; a page of the server's keys at a time.

    Raises:
        BackendError: a server does not answer.
    """
    found: dict[bytes, None] = {}
    for endpoint in (yield from _holders(settings)):
        cursor = b"0"
        while True:
            replies = yield Visit(endpoint, settings.login, (("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE),))
            check(endpoint, replies)
            cursor, keys = replies[0]
            found.update(dict.fromkeys(keys))
            if len(found) > most:
                return list(found)[:most], False
            if cursor == b"0":
                break
    return list(found), True


def _holders(settings: Settings) -> Visits[Iterable[Endpoint]]:
    """Every server that holds keys."""
    if settings.kind == "cluster":
        return (yield from learn(settings, ())).endpoints()
    return [(yield from locate(settings))]


def _forget_all(settings: Settings, endpoint: Endpoint, pattern: str) -> Visits[None]:
    cursor = b"0"
    while True:
        replies = yield Visit(endpoint, settings.login, (("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE),))
        check(endpoint, replies)
        cursor, keys = replies[0]
        if keys:
            unlink: tuple[Command, ...] = tuple(("UNLINK", key) for key in keys)
            check(endpoint, (yield Visit(endpoint, settings.login, unlink)))
        if cursor == b"0":
            return


def _memory_policy(reply: Any) -> str:
    """The policy in the answer to ``INFO memory``; empty where a server does not tell."""
    lines = reply.decode("utf-8", "replace").splitlines() if isinstance(reply, bytes) else []
    return next((line.partition(":")[2] for line in lines if line.startswith("maxmemory_policy:")), "")
