"""What is set up in a way that works, and yet does not do what was meant: said once, in the log, never in an exception.

A notice has an id, a sentence that says what was seen and what mends it, and a place in the docs. It is silenced by its
id, in code or by the environment (``TRAFFIK_SILENCE="counted-twice,one-identity"``). Whoever detects something says it
here; nothing here detects anything.
"""

from __future__ import annotations

import logging
import os
from threading import Lock
from typing import Final, NamedTuple

__all__ = ["IDS", "Notice", "clear_notices", "notify", "said", "silence"]

IDS: Final = (
    "cors-order",
    "cost-above-capacity",
    "counted-twice",
    "defined-twice",
    "everything-trusted",
    "misplaced-decorator",
    "one-identity",
    "other-distribution",
    "server-trusts-proxies",
    "several-workers",
    "sync-store-on-loop",
    "throttle-in-handler",
    "unbounded-scopes",
    "untrusted-proxy",
)
"""Every id there is."""

_MOST: Final = 100
"""Notices said by one process; a program that makes throttles without end is not to fill its log too."""

_log: Final = logging.getLogger("traffik.notices")
_lock: Final = Lock()
_said: dict[tuple[str, str], Notice] = {}
_silenced: set[str] = set()

if hasattr(os, "register_at_fork"):  # A child is not to inherit a lock that nobody in it will give back.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Notice(NamedTuple):
    """Something worth mending.

    Attributes:
        id: one of `IDS`.
        about: what it is about, such as the uid of a throttle.
        sentence: what was seen, and what mends it.
        page: where the docs say more.
    """

    id: str
    about: str
    sentence: str
    page: str


def notify(notice: str, about: str, sentence: str) -> None:
    """Say `sentence` in the log, once for each pair of an id and what it is about, unless the id is silenced.

    Args:
        notice: one of `IDS`.
        about: what it is about, such as a uid; no data of clients.
        sentence: what was seen, and what mends it.

    Raises:
        ValueError: there is no such id.
    """
    _check(notice)
    page = f"docs/notices.md#{notice}"
    with _lock:
        if notice in _asked_to_be_silent() or (notice, about) in _said or len(_said) >= _MOST:
            return
        _said[notice, about] = Notice(notice, about, sentence, page)
    _log.warning('%s (%s; to silence it: traffik.notices.silence("%s"))', sentence, page, notice)


def silence(*notices: str) -> None:
    """Say no more of `notices`.

    Raises:
        ValueError: one of them is no id; the message lists those there are.
    """
    for notice in notices:
        _check(notice)
    with _lock:
        _silenced.update(notices)


def said() -> tuple[Notice, ...]:
    """What has been said in this process so far."""
    with _lock:
        return tuple(_said.values())


def clear_notices() -> None:
    """Forget what has been said and silenced, so that it is said again; for tests."""
    with _lock:
        _said.clear()
        _silenced.clear()


def _check(notice: str) -> None:
    if notice not in IDS:
        raise ValueError(f"no notice has the id {notice!r}; there are {', '.join(IDS)}")


def _asked_to_be_silent() -> set[str]:
    words = os.environ.get("TRAFFIK_SILENCE", "").split(",")
    return _silenced | {word.strip() for word in words}
