"""The record of a namespace in the servers; see `traffik.backends.records`.

It has its own client, so a read neither shares a call with hits nor counts for their breaker.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from traffik.backends.redis.client import Client
from traffik.backends.redis.concurrency import Threads
from traffik.backends.redis.discovery import Servers
from traffik.backends.redis.handshake import PATIENCE
from traffik.backends.redis.script import READ, SWAP, Answer, Operation, Stored
from traffik.model.coroutines import run_sync
from traffik.model.errors import BackendError
from traffik.model.keys import partition_key

if TYPE_CHECKING:
    from traffik.backends.redis.settings import Settings

__all__ = ["RedisRecord", "record_key"]

_TTL: Final = str(100 * 365 * 86_400_000)
"""ms for which a record stays. Each key of the store expires at some time, so none is left behind for ever."""


def record_key(namespace: str) -> str:
    """The key of the record. No throttle has an empty uid, so it is the key of no client."""
    return partition_key(namespace, "", "record")


class RedisRecord:
    """The record of one namespace.

    Args:
        settings: the addresses and logins of the servers.
        namespace: the namespace of the store.
    """

    def __init__(self, settings: Settings, namespace: str) -> None:
        self._settings = settings
        self._key = record_key(namespace)
        self.begin()

    def begin(self) -> None:
        """Start without a connection: for a new store, and in a forked process."""
        self.client: Client = Client(Threads(), Servers(self._settings, 1, PATIENCE, lambda _: None))

    def read(self) -> bytes | None:
        """The record; None if there is none. Raises a BackendError if a server does not answer."""
        answer = self._ask(Operation(self._key, READ))
        if isinstance(answer, Stored):
            return answer.value
        raise BackendError(f"the record of changes could not be read: {answer}")

    def swap(self, before: bytes | None, after: bytes) -> bool:
        """Write the record if it is still `before`. Returns whether it was. Errors as for `read`."""
        answer = self._ask(Operation(self._key, SWAP, texts=(before or b"", after, _TTL)))
        if isinstance(answer, bool):
            return answer
        raise BackendError(f"the record of changes could not be written: {answer}")

    def close(self) -> None:
        """Close the connection. It is opened again when it is needed."""
        self.client.close()

    def _ask(self, operation: Operation) -> Answer:
        (answer,) = run_sync(self.client.ask((operation,), monotonic() + PATIENCE))
        return answer
