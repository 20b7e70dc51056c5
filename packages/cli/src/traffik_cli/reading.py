"""From sources to runs of hits in the order of time, in this process or with others that read while this one decides.

Whoever reads, the runs are the same and come in the same order, so the results are too.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import chain
from multiprocessing import get_context
from typing import Final

from traffik_cli.replay.batches import LineReader, Parsed, Run
from traffik_cli.replay.documents import unfolded
from traffik_cli.replay.formats import Format, OpenedFormat
from traffik_cli.replay.logs import Log
from traffik_cli.replay.ordering import in_time
from traffik_cli.segments import Segments
from traffik_cli.sources import Readable

__all__ = ["Readers", "readers", "runs_of"]

Readers = Callable[[Iterable[tuple[LineReader, bytes]]], Iterator[Parsed]]
"""Reads blocks, each with a reader of its own, in order."""

_FIELDS: Final = b"#Fields:"
"""How W3C's Extended Log Format names its columns, again and again in one log."""

_ROWS: Final = 20
"""Rows that show what the columns hold."""

_HEAD: Final = 1 << 18
"""The bytes, up to the end of a line, in which a format is seen."""


def runs_of(
    sources: Sequence[Readable],
    form: Format,
    window: int,
    read: Readers,
    moved: Callable[[int], object],
    *,
    cut: bool = False,
) -> tuple[list[Log], Iterator[Run]]:
    """The logs, which know more as reading goes on, and all their hits in the order of time.

    Args:
        sources: the logs.
        form: how to read them.
        window: how late a request may come and still take its place, µs.
        read: what reads blocks.
        moved: called with the number of stored bytes read since the last call.
        cut: whether a source that may hold several logs is cut into them, and those merged.

    Raises:
        ConfigurationError: a log cannot be read, or is in no format that is known. Logs begin to be read at once.
    """
    logs: list[Log] = []
    streams: list[Iterator[Run]] = []
    for source in sources:
        log = Log(source.name, window)
        logs.append(log)
        batches = _batches(source, form, log, read, moved)
        if cut and source.in_parts:
            streams.extend(log.parts(batches, Segments(window).cut))
        else:
            streams.append(log.runs(batches))
    return logs, in_time(streams)


def _batches(
    source: Readable, form: Format, log: Log, read: Readers, moved: Callable[[int], object]
) -> Iterator[Parsed]:
    blocks = unfolded(source.blocks(moved))
    first = next(blocks, b"")
    opened = _opened(form, first)
    log.detected, log.spacing = opened.detected, opened.spacing
    yield from read(_paired(form, opened, chain([first], blocks)))


def _opened(form: Format, block: bytes) -> OpenedFormat:
    return form.open(block[: block.find(b"\n", _HEAD) + 1 or None])


def _paired(form: Format, opened: OpenedFormat, blocks: Iterable[bytes]) -> Iterator[tuple[LineReader, bytes]]:
    """Blocks with their reader. Where a log names other columns from some line on, another one reads on."""
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
                before = piece  # too little to see what the columns hold
                continue
            if named != header:
                header, opened = named, _opened(form, piece)
            yield opened.reader, piece
    if before:
        yield _opened(form, before).reader, before


def _pieces(block: bytes) -> Iterator[bytes]:
    """A block, cut in front of every line that names columns."""
    start = 0
    while (place := block.find(b"\n" + _FIELDS, start)) >= 0:
        yield block[start : place + 1]
        start = place + 1
    yield block[start:]


@contextmanager
def readers(jobs: int) -> Generator[Readers]:
    """What reads blocks with so many processes, this one included."""
    if jobs == 1:
        yield lambda pairs: (reader.read(block) for reader, block in pairs)
        return
    # Spawned and not forked: the progress display has a thread.
    with ProcessPoolExecutor(jobs - 1, get_context("spawn")) as pool:
        try:
            yield lambda pairs: _ahead(pool, jobs, pairs)
        except BaseException:  # also Ctrl-C: nobody waits for what has been begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _ahead(pool: Executor, jobs: int, pairs: Iterable[tuple[LineReader, bytes]]) -> Iterator[Parsed]:
    """Batches in order, of which a few are in the making."""
    waiting: deque[Future[Parsed]] = deque()
    for reader, block in pairs:
        with _uninterrupted():
            waiting.append(pool.submit(reader.read, block))
        if len(waiting) > 2 * jobs:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _uninterrupted() -> Generator[None]:
    """An interrupt waits; processes that are begun meanwhile never hear of one, since it is this one's to end them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
