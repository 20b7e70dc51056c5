"""Reads sources into batches of hits in the order of time, in this process or in others while this one decides.

The hits and their order do not depend on the number of processes, so neither do the results.
"""

from __future__ import annotations

import gc
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import chain
from multiprocessing import get_context
from typing import Final

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.batches import Batch, LineReader, Parsed
from traffik_cli.replay.documents import unfolded
from traffik_cli.replay.formats import Format, OpenedFormat
from traffik_cli.replay.logs import Log
from traffik_cli.replay.ordering import in_time
from traffik_cli.segments import Segments
from traffik_cli.sources import Readable

__all__ = ["Readers", "batches_of", "readers"]

Readers = Callable[[Iterable[tuple[LineReader, bytes]]], Iterator[Parsed]]
"""Reads pairs of a reader and a block, in order."""

_FIELDS: Final = b"#Fields:"
"""How W3C's Extended Log Format names its columns, again and again in one log."""

_ROWS: Final = 20
"""Rows that show what the columns hold."""

_PATIENCE: Final = 1000
"""Lines in which a format has to be seen."""

_AHEAD: Final = 3
"""Blocks that each other process has before it."""

_MOST: Final = 64
"""Blocks, for each process, that are read and wait for an earlier one."""

_HEAD: Final = 1 << 18
"""The bytes, up to the end of a line, in which a format is seen."""


def batches_of(
    sources: Sequence[Readable],
    form: Format,
    window: int,
    read: Readers,
    moved: Callable[[int], object],
    *,
    cut: bool = False,
) -> tuple[list[Log], Iterator[Batch]]:
    """Read the logs; the `Log` objects, which are updated while reading, and all hits in the order of time.

    Args:
        sources: where the logs are.
        form: the format of the logs.
        window: requests late by at most this are sorted, µs.
        read: a function that reads blocks, from `readers`.
        moved: called with the number of stored bytes read since the last call.
        cut: whether to split a source that may contain several logs, and merge the parts.

    Raises:
        ConfigurationError: a log cannot be read or has an unknown format. The beginning of each log is read at once.
    """
    logs: list[Log] = []
    streams: list[Iterator[Batch]] = []
    for source in sources:
        log = Log(source.name, window)
        logs.append(log)
        blocks = _blocks(source, form, log, read, moved)
        if cut and source.in_parts:
            streams.extend(log.parts(blocks, Segments(window).cut))
        else:
            streams.append(log.batches(blocks))
    return logs, in_time(streams)


def _blocks(
    source: Readable, form: Format, log: Log, read: Readers, moved: Callable[[int], object]
) -> Iterator[Parsed]:
    blocks = unfolded(source.blocks(moved))
    opened, first = _begun(form, blocks)
    log.detected, log.spacing = opened.detected, opened.spacing
    yield from read(_paired(form, opened, chain([first], blocks)))


def _begun(form: Format, blocks: Iterator[bytes]) -> tuple[OpenedFormat, bytes]:
    """The format, and the blocks in which it was seen: the first lines of a log that grows may not show it."""
    head, tried = b"", 0
    opened: OpenedFormat | None = None
    for block in blocks:
        head += block
        lines = head.count(b"\n")
        if lines < 2 * tried:
            continue
        tried = lines
        try:
            opened = _opened(form, head)
        except ConfigurationError:
            if lines >= _PATIENCE or len(head) >= _HEAD:
                raise
            continue
        found = opened.detected
        if lines >= _ROWS or None not in {found.client, found.time, found.path}:
            return opened, head
    return opened or _opened(form, head), head


def _opened(form: Format, block: bytes) -> OpenedFormat:
    return form.open(block[: block.find(b"\n", _HEAD) + 1 or None])


def _paired(form: Format, opened: OpenedFormat, blocks: Iterable[bytes]) -> Iterator[tuple[LineReader, bytes]]:
    """Blocks with their readers. If a later line declares other columns, the next blocks get another reader."""
    if not opened.header:
        yield from ((opened.reader, block) for block in blocks)
        return
    header, before = opened.header, b""
    for block in blocks:
        pieces = list(_pieces(before + block))
        before = b""
        for piece in pieces:
            named = next((line.strip() for line in piece.split(b"\n", 9) if line.startswith(_FIELDS)), header)
            if named != header and piece is pieces[-1] and piece.count(b"\n") < _ROWS:
                before = piece  # too few lines to detect the columns
                continue
            if named != header:
                header, opened = named, _opened(form, piece)
            yield opened.reader, piece
    if before:
        yield _opened(form, before).reader, before


def _pieces(block: bytes) -> Iterator[bytes]:
    """Split a block before every line that declares columns."""
    start = 0
    while (place := block.find(b"\n" + _FIELDS, start)) >= 0:
        yield block[start : place + 1]
        start = place + 1
    yield block[start:]


@contextmanager
def readers(jobs: int) -> Generator[Readers]:
    """A function that reads blocks with `jobs` processes, this one included."""
    if jobs == 1:
        yield lambda pairs: (reader.read(block) for reader, block in pairs)
        return
    # Spawned instead of forked, since the progress display has a thread. Reading makes many objects and no cycles.
    with ProcessPoolExecutor(jobs - 1, get_context("spawn"), gc.disable) as pool:
        try:
            yield lambda pairs: _ahead(pool, jobs, pairs)
        except BaseException:  # also Ctrl-C: do not wait for blocks in progress
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _ahead(pool: Executor, jobs: int, pairs: Iterable[tuple[LineReader, bytes]]) -> Iterator[Parsed]:
    """Read blocks in other processes, and in this one while all others have enough to do; yields them in order."""
    waiting: deque[Future[Parsed]] = deque()
    for reader, block in pairs:
        if sum(not each.done() for each in waiting) < _AHEAD * (jobs - 1):
            with _uninterrupted():
                waiting.append(pool.submit(reader.read, block))
        else:
            waiting.append(Future())
            waiting[-1].set_result(reader.read(block))
        while waiting and (waiting[0].done() or len(waiting) > _MOST * jobs):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _uninterrupted() -> Generator[None]:
    """Delay interrupts. Processes started meanwhile ignore them, since this process ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
