"""The interface to inspect the keys of a store, for operators. Hits do not need it, and not every store has it."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

__all__ = ["InspectableBackend", "KeyPage", "StoredState"]


class StoredState(NamedTuple):
    """The state of one key in a store.

    Attributes:
        value: the state as it is written there; None if there is none.
        ttl: µs until the state expires; None if there is none.
    """

    value: bytes | None
    ttl: int | None


class KeyPage(NamedTuple):
    """The keys of one throttle in a store.

    Attributes:
        keys: local keys, in no order, each once.
        complete: whether these are all.
        unnamed: the number of states found without a key: those of very long keys, and shared ones.
    """

    keys: list[str]
    complete: bool
    unnamed: int = 0


@runtime_checkable
class InspectableBackend(Protocol):
    """A store whose content can be inspected."""

    def inspect_sync(self, uid: str, key: str) -> StoredState:
        """The state of a local key of the throttle `uid`."""
        ...

    def list_keys_sync(self, uid: str, most: int) -> KeyPage:
        """At most `most` local keys of the throttle `uid`. It may read every key of the store to find them."""
        ...
