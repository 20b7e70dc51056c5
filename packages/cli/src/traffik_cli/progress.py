"""How far a replay has come: bytes, rate and time left, on standard error, and only if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from traffik_cli.sources import Readable

__all__ = ["with_progress"]


@contextmanager
def with_progress(sources: Sequence[Readable], what: str) -> Generator[Callable[[int], object]]:
    """Give a function to call with the bytes read, and show them while the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal or not sys.stderr.isatty():
        yield _nothing
        return
    sizes = [source.size for source in sources]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda taken: progress.advance(task, taken)


def _nothing(taken: int) -> None:
    """Show nothing."""
