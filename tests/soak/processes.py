"""What Linux says about processes: their children, memory and descriptors."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Use(NamedTuple):
    """What a process uses: kilobytes of resident memory, and open files."""

    memory: int
    files: int


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = (PROC / f"{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def workers(pid: int) -> list[int]:
    """The workers among the descendants of uvicorn, which has a process that tracks resources, too."""
    return [each for each in family(pid) if b"spawn_main" in (PROC / f"{each}/cmdline").read_bytes()]


def use_of(pid: int) -> Use | None:
    """What a process uses now; None if it has ended."""
    try:
        status = (PROC / f"{pid}/status").read_text()
        files = len(list((PROC / f"{pid}/fd").iterdir()))
    except OSError:
        return None
    memory = next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")), None)
    return None if memory is None else Use(int(memory), files)  # a process that ends has no memory
