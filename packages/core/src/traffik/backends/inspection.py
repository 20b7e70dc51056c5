"""The interface for inspecting the keys of a store, for operators. Hits do not need it. Some stores do not have it."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

__all__ = ["InspectableBackend", "KeyPage", "StoredState"]


class StoredState(NamedTuple):
    """The state that is stored under one key.

    Attributes:
        value: the state as the store encodes it; None if there is none.
        ttl: µs until the state expires; None if there is no state.
    """

    value: bytes | None
    ttl: int | None


class KeyPage(NamedTuple):
    """The keys of one throttle in a store.

    Attributes:
        keys: local keys, in any order, each once.
        complete: whether these are all keys.
        unnamed: the number of states found whose keys are not stored: those of very long keys and of shared buckets.
    """

    keys: list[str]
    complete: bool
    unnamed: int = 0


@runtime_checkable
class InspectableBackend(Protocol):
    """A store whose keys can be inspected."""

    def inspect_sync(self, uid: str, key: str) -> StoredState:
        """The state that is stored for a local key of the throttle `uid`."""
        ...

    def list_keys_sync(self, uid: str, most: int) -> KeyPage:
        """Up to `most` local keys of the throttle `uid`. May read every key of the store to find them."""
        ...
