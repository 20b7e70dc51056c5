"""The log of notices: warnings about a setup that works but does not do what was meant. Each is logged once.

A notice has an id, a sentence that says what was noticed and how to fix it, and a place in the docs. It is silenced by
its id, in code or with an environment variable (``TRAFFIK_SILENCE="counted-twice,one-identity"``). The code that finds
a problem calls `notify`. This module finds none.
"""

from __future__ import annotations

import logging
import os
from threading import RLock
from typing import Final, NamedTuple

__all__ = ["DOCS", "IDS", "Notice", "clear_notices", "notify", "said", "silence"]

DOCS: Final = "https://traffik-core.github.io/traffik/"
"""The address of the documentation. Other places that need it agree with this one, as a house test checks."""

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
    "slot-lost",
    "sync-store-on-loop",
    "throttle-in-handler",
    "unbounded-scopes",
    "unknown-route",
    "unknown-tier",
    "untrusted-proxy",
)
"""All ids."""

_MOST: Final = 100
"""The most notices that one process logs, so that a program that keeps making throttles does not fill its log."""

_log: Final = logging.getLogger("traffik.notices")
_lock: Final = RLock()  # a signal handler may hit, and notify, while its thread holds it
_said: dict[tuple[str, str], Notice] = {}
_silenced: set[str] = set()

if hasattr(os, "register_at_fork"):  # or else a child could inherit a lock that is held and never released
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Notice(NamedTuple):
    """A warning about the setup.

    Attributes:
        id: one of `IDS`.
        about: its subject, such as the uid of a throttle.
        sentence: what was noticed, and how to fix it.
        page: the address of the section of the documentation about it.
    """

    id: str
    about: str
    sentence: str
    page: str


def notify(notice: str, about: str, sentence: str) -> None:
    """Log `sentence`, once for each pair of an id and a subject, unless the id is silenced.

    Args:
        notice: one of `IDS`.
        about: the subject, such as a uid. It holds no data of clients.
        sentence: what was noticed, and how to fix it.

    Raises:
        ValueError: there is no such id.
    """
    _check(notice)
    page = f"{DOCS}notices.html#{notice}"
    with _lock:
        if notice in _asked_to_be_silent() or (notice, about) in _said or len(_said) >= _MOST:
            return
        _said[notice, about] = Notice(notice, about, sentence, page)
    _log.warning('%s (%s; to silence it: traffik.notices.silence("%s"))', sentence, page, notice)


def silence(*notices: str) -> None:
    """Log no notices with these ids from now on.

    Raises:
        ValueError: one of them is not an id. The message lists the ids.
    """
    for notice in notices:
        _check(notice)
    with _lock:
        _silenced.update(notices)


def said() -> tuple[Notice, ...]:
    """The notices that this process has logged so far."""
    with _lock:
        return tuple(_said.values())


def clear_notices() -> None:
    """Forget which notices were logged or silenced, so that they are logged again. For tests."""
    with _lock:
        _said.clear()
        _silenced.clear()


def _check(notice: str) -> None:
    if notice not in IDS:
        raise ValueError(f"no notice has the id {notice!r}; there are {', '.join(IDS)}")


def _asked_to_be_silent() -> set[str]:
    words = os.environ.get("TRAFFIK_SILENCE", "").split(",")
    return _silenced | {word.strip() for word in words}
