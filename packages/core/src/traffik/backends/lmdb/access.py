"""Access to the files of a store: wait until they are free, work in them, and make room where that is necessary.

Sync code waits by blocking its thread, async code lets its event loop run. The first waits are short, since a file is
used for a few µs at a time. They get longer, since a stopped process may use one for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import lmdb

from traffik.backends.lmdb.environments import Environment
from traffik.backends.lmdb.files import FileBusyError
from traffik.backends.lmdb.unwritable import CrampedError, FullError
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["run"]

_T = TypeVar("_T")

_SHORTEST: Final = 0.000_05
_LONGEST: Final = 0.005  # seconds of the longest wait
_TIMER: Final = 0.000_2  # s; shorter waits yield to the event loop once, since its timers take 1 ms or more
_DAMAGED: Final = (lmdb.BadTxnError, lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.PanicError)


class _RetryError(Exception):
    """A file has grown, or cannot grow: decide again."""


async def run(
    files: Sequence[Environment],
    work: Callable[[], _T],
    clock: Callable[[], int],
    seconds: float,
    sync: bool,
    write: bool = False,
) -> _T:
    """Run `work` while this thread has exclusive use of some files, each with a transaction; its result.

    The transactions are committed unless there is an error. Once a file has grown, `work` is called again.

    Args:
        files: in the order of their paths, so that two callers cannot wait for each other.
        work: uses the `transaction` of each file.
        clock: returns nanoseconds that never go back, the same in all processes.
        seconds: how long to wait at most until the files are free.
        sync: whether waiting blocks the thread.
        write: whether `work` may write.

    Raises:
        BackendError: the files are busy for too long, damaged or full, or cannot be opened.
    """
    wait, deadline = _SHORTEST, 0.0
    while True:
        try:
            return _attempt(files, work, clock, write)
        except FileBusyError:
            now = time.monotonic()
            deadline = deadline or now + seconds
            if now >= deadline:
                raise BackendTimeoutError(
                    "the file was busy until the deadline: a process that has been stopped may be using it"
                ) from None
        except _RetryError:
            continue
        except (lmdb.Error, OSError) as error:
            raise BackendError(f"the file cannot be used: {error}") from error
        await _pause(min(wait, deadline - now), sync)
        wait = min(2 * wait, _LONGEST)


def _attempt(files: Sequence[Environment], work: Callable[[], _T], clock: Callable[[], int], write: bool) -> _T:
    user = object()
    try:
        for file in files:
            file.enter(user, clock, write)
        answer = work()
        for file in files:
            file.commit()
    except _DAMAGED:
        for file in files:
            if file.user is user:
                file.discard()
        raise
    except (CrampedError, FullError, lmdb.MapFullError) as error:
        cramped = error.file if isinstance(error, CrampedError) else None
        grown = [file.make_room(clock) for file in files if cramped in {None, file.file}]
        if cramped is None and not any(grown):
            raise FullError from error
        raise _RetryError from None
    finally:
        try:
            for file in files:
                file.leave(user)
        except BaseException:  # a signal handler has raised an error before this was complete
            for file in files:
                file.leave(user)
            raise
    return answer


async def _pause(seconds: float, sync: bool) -> None:
    if sync:
        time.sleep(seconds)  # noqa: ASYNC251 - sync code steps this coroutine outside any event loop
        return
    import asyncio  # here, since it is slow to import, like anyio, and files are rarely busy

    seconds = 0 if seconds < _TIMER else seconds
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        import anyio

        await anyio.sleep(seconds)
    else:
        await asyncio.sleep(seconds)
