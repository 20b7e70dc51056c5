"""The record of a namespace in the files; see `traffik.backends.records`.

It lies before all states, so neither sweeping nor a reset finds it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final
from zlib import crc32

from traffik.backends.lmdb.access import run
from traffik.backends.lmdb.environments import Environment
from traffik.model.coroutines import run_sync
from traffik.model.errors import BackendError

__all__ = ["FileRecord"]

_FIRST: Final = b"r"
"""The first byte of the name of a record, which is below that of every state."""

_PATIENCE: Final = 1.0  # seconds to wait for the file


class FileRecord:
    """The record of one namespace.

    Args:
        files: the files of the store.
        namespace: the namespace of the store.
        clock: returns nanoseconds, as that of the store.
    """

    def __init__(self, files: Sequence[Environment], namespace: str, clock: Callable[[], int]) -> None:
        self._name = _FIRST + blake2b(namespace.encode("utf-8", "surrogatepass"), digest_size=15).digest()
        self._file = files[crc32(self._name) % len(files)]
        self._clock = clock

    def read(self) -> bytes | None:
        """The record; None if there is none. Raises a BackendError if the file cannot be used."""

        def work() -> bytes | None:
            transaction = self._file.transaction
            return None if transaction is None else transaction.lmdb.get(self._name)

        if self._file.file is None and not os.path.lexists(self._file.path):
            return None  # reading makes no file
        return run_sync(run((self._file,), work, self._clock, _PATIENCE, True))

    def swap(self, before: bytes | None, after: bytes) -> bool:
        """Write the record if it is still `before`. Returns whether it was. Errors as for `read`."""

        def work() -> bool:
            transaction = self._file.transaction
            if transaction is None:
                raise BackendError(
                    f"{str(self._file.path)!r} is missing, and this store makes no files: let the application open its "
                    f"store first"
                )
            if transaction.lmdb.get(self._name) != before:
                return False
            transaction.lmdb.put(self._name, after)
            return True

        return run_sync(run((self._file,), work, self._clock, _PATIENCE, True, True))
