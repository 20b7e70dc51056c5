"""What a store may show of its keys, to people who look after it. No hit needs it, and not every store has it."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

__all__ = ["InspectableBackend", "KeyPage", "StoredState"]


class StoredState(NamedTuple):
    """What a store holds under one key.

    Attributes:
        value: the state as it is written there; None if there is none.
        ttl: µs until it is forgotten; None if there is nothing to forget.
    """

    value: bytes | None
    ttl: int | None


class KeyPage(NamedTuple):
    """The keys of one throttle in a store.

    Attributes:
        keys: local keys, in no order, each once.
        complete: whether these are all.
        unnamed: states found on the way that stand under no name: those of very long keys, and shared ones.
    """

    keys: list[str]
    complete: bool
    unnamed: int = 0


@runtime_checkable
class InspectableBackend(Protocol):
    """A store that can show what it holds."""

    def inspect_sync(self, uid: str, key: str) -> StoredState:
        """What is held for a local key of the throttle `uid`."""
        ...

    def list_keys_sync(self, uid: str, most: int) -> KeyPage:
        """Local keys of the throttle `uid`, at most so many; may look at every key of the store to find them."""
        ...
