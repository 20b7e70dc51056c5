"""How long does a replay of an access log take per line, compared with a loop that only counts first words?

The log has five million lines in Combined Log Format from 100,000 clients, some of which come often. The baseline takes
the first word of each line and counts it in a dict. The log is decided with two limits: one for which most clients have
a fresh quota when they come again, and one for which almost none has. The same requests as JSON, with times to the
millisecond, are read once from these clients and once with another client in every line. A limit is suggested for the
same log as is replayed.

The memory is the peak of the process minus its memory at the start. It depends on the number of clients, not of lines.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

from measure import Result

from traffik_cli.replay.formats import Format
from traffik_cli.replay.ledgers import MOST
from traffik_cli.replay.targets import target_of
from traffik_cli.replay.trials import trial_of
from traffik_cli.runs import Reading, replayed
from traffik_cli.searching import LimitSearch
from traffik_cli.sources import Source

TITLE = "reading and deciding an access log, a line"

LINES = int(os.environ.get("TRAFFIK_BENCH_LINES", "5000000"))
CLIENTS = 100_000
ROUNDS = 3
PART = 1_000_000
"""Lines that a round reads of each kind: enough to be even, few enough that the floor is measured right beside."""


def measure() -> list[Result]:
    """Write the logs, and time both loops over them in turn."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "access.log"
        write(log, LINES)
        part = Path(folder) / "part.log"
        write(part, min(PART, LINES))
        results = [
            compared(part, "100/min", "most of the quota fresh, 100/min : a loop that counts first words", 4.0),
            compared(part, "5000/day", "the hardest, hardly any fresh, 5000/day : the same loop", None),
            compared(part, "100/min", "most of the quota fresh : a loop that splits at every space", None, split=True),
            *(suggested(part, target) for target in ("0.1%", "1% of clients")),
        ]
        for name, clients in (("100,000 clients", CLIENTS), ("another client in every line", min(PART, LINES))):
            path = Path(folder) / "log.json"
            write_json(path, min(PART, LINES), clients)
            results += as_json(path, name)
        return [*results, *whole(log)]


def write(path: Path, lines: int) -> None:
    """A log of so many lines, the same each time: about fifty a second, clients by Zipf's law."""
    chance = Random(1)
    addresses = [
        f"{chance.randrange(1, 224)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}"
        for _ in range(CLIENTS)
    ]
    weights = [1 / (rank + 1) ** 0.6 for rank in range(CLIENTS)]
    tail = '"GET /api/items/%d?page=%d HTTP/1.1" 200 %d "https://example.org/" "Mozilla/5.0 (X11; Linux x86_64)"\n'
    tails = [tail % (item, item % 7, item * 13 % 5000) for item in range(500)]
    with path.open("w") as file:
        for start in range(0, lines, 100_000):
            picked = chance.choices(addresses, weights, k=min(100_000, lines - start))
            file.write("".join(_line(address, start + place, tails) for place, address in enumerate(picked)))


def _line(address: str, number: int, tails: list[str]) -> str:
    second = number // 50
    clock = f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{address} - - [{10 + second // 86400:02}/Oct/2025:{clock} +0000] {tails[number % 500]}"


def write_json(path: Path, lines: int, clients: int) -> None:
    """The same as objects of JSON, with so many clients."""
    chance = Random(1)
    addresses = [str(IPv4Address(chance.randrange(1 << 24, 224 << 24))) for _ in range(clients)]
    with path.open("w") as file:
        for number in range(lines):
            second = number // 50
            clock = f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}.{number * 20 % 1000:03}"
            record = {
                "time": f"2025-10-{10 + second // 86400:02}T{clock}Z",
                "remote_addr": addresses[number] if clients == lines else chance.choice(addresses),
                "method": "GET",
                "path": f"/api/items/{number % 500}",
                "status": 200,
                "bytes": number * 13 % 5000,
                "referer": "https://example.org/",
                "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
            }
            file.write(json.dumps(record) + "\n")


def as_json(log: Path, name: str) -> list[Result]:
    """A log of JSON: to a loop that decodes each line, and by itself."""
    ratios, rates = [], []
    lines = min(PART, LINES)
    for _ in range(ROUNDS):
        floor, ours = decoding(log), deciding(log, "100/min")
        ratios.append(ours / floor)
        rates.append(lines / ours / 1e3)
    gain = alone(log, 1, "json").wall / alone(log, 2, "json").wall
    return [
        Result(f"JSON, {name} : a loop that only decodes", median(ratios), min(ratios), max(ratios)),
        Result(f"JSON, {name}, thousands of lines", median(rates), min(rates), max(rates), "k/s", 300, at_least=True),
        Result(f"JSON, {name}: the time of one process : that of --jobs 2", gain, gain, gain),
    ]


def decoding(log: Path) -> float:
    """Seconds of a loop that decodes each line with Python's own decoder."""
    start = process_time()
    with log.open("rb") as file:
        for line in file:
            json.loads(line)
    return process_time() - start


def suggested(log: Path, target: str) -> Result:
    """The ratio of a suggestion to a plain replay."""
    ratios = []
    for _ in range(ROUNDS):
        plain = deciding(log, "100/min")
        reading = Reading([Source(str(log))], Format("auto"), 3_600_000_000, 1, MOST)
        start = process_time()
        replayed(reading, {}, LimitSearch(target_of(target), [60_000_000], trial_of("100/min")), 10)
        ratios.append((process_time() - start) / plain)
    return Result(
        f"a limit suggested for {target} : a plain replay", median(ratios), min(ratios), max(ratios), goal=2.0
    )


def compared(log: Path, rate: str, subject: str, goal: float | None, *, split: bool = False) -> Result:
    """The ratio of a replay to the baseline, each within its round."""
    ratios, detail = [], ""
    lines = min(PART, LINES)
    for _ in range(ROUNDS):
        floor = splitting(log) if split else counting(log)
        ours = deciding(log, rate)
        ratios.append(ours / floor)
        detail = f"{ours / lines * 1e6:.2f} µs : {floor / lines * 1e6:.2f} µs"
    return Result(subject, median(ratios), min(ratios), max(ratios), goal=goal, detail=detail)


def counting(log: Path) -> float:
    """Seconds of the baseline."""
    counts: dict[bytes, int] = {}
    start = process_time()
    with log.open("rb") as file:
        for line in file:
            client = line.split(b" ", 1)[0]
            counts[client] = counts.get(client, 0) + 1
    return process_time() - start


def splitting(log: Path) -> float:
    """Seconds of a loop that splits the whole line."""
    counts: dict[bytes, int] = {}
    start = process_time()
    with log.open("rb") as file:
        for line in file:
            client = line.split()[0]
            counts[client] = counts.get(client, 0) + 1
    return process_time() - start


def deciding(log: Path, rate: str) -> float:
    """Seconds of a replay."""
    reading = Reading([Source(str(log))], Format("auto"), 3_600_000_000, 1, MOST)
    start = process_time()
    replayed(reading, {rate: [trial_of(rate)]}, None, 10)
    return process_time() - start


def whole(log: Path) -> list[Result]:
    """The whole log, in separate processes, in wall-clock time, and the memory it takes."""
    one, two = alone(log, 1), alone(log, 2)
    empty = log.with_name("empty.log")
    empty.write_bytes(b"")
    base = alone(empty, 1)
    rate, memory = LINES / one.busy / 1e3, (one.peak - base.peak) / 1024
    gain = one.wall / two.wall
    return [
        Result("lines a second of one core, thousands", rate, rate, rate, "k/s", 400.0, at_least=True),
        Result("the time of one process : that of --jobs 2", gain, gain, gain),
        Result("memory beyond an empty log's, of which clients are all", memory, memory, memory, "MB"),
    ]


class Run(NamedTuple):
    """The costs of a process: seconds of wall-clock and CPU time, and its peak memory in kilobytes."""

    wall: float
    busy: float
    peak: int


def alone(log: Path, jobs: int, form: str = "combined") -> Run:
    """What a process takes that replays `log`."""
    # Not as a script, which the processes of --jobs would import again, unlike that of `traffik`.
    command = [sys.executable, "-c", "import replay; replay.main()", str(log), str(jobs), form]
    folder = Path(__file__).parent
    wall, busy, peak = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.split()
    return Run(float(wall), float(busy), int(peak))


def main() -> None:
    """Replay the log that the command line names, and print the costs."""
    wall, busy = perf_counter(), process_time()
    reading = Reading([Source(sys.argv[1])], Format(sys.argv[3]), 3_600_000_000, int(sys.argv[2]), MOST)
    replayed(reading, {"100/min": [trial_of("100/min")]}, None, 10)
    print(perf_counter() - wall, process_time() - busy, _peak())


def _peak() -> int:
    """The peak memory in kilobytes. The value of `getrusage` begins with the memory of the parent."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])
