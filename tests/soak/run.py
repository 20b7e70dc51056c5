"""Mixed traffic through real servers while Redis restarts and workers are killed, then a look at what is left.

Three servers share a Redis and an LMDB store: Starlette on uvicorn with two workers, aiohttp, and Django on gunicorn
with two workers. Every few seconds Redis is killed and restarts empty, and a worker of uvicorn is killed. At the end:

- no client got more than the limit in any window; on Redis more by what the page on faults says, around a restart,
- every response was 200 or 429, and only connections to a killed worker broke,
- the memory and the descriptors of the processes that lived all the time have not grown,
- no log has a traceback.

The argument is the length, such as ``30s`` or ``10m``, which is the default.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("SOAK_REDIS", "redis://localhost:1")  # this process only reads the constants of the servers
os.environ.setdefault("SOAK_LMDB", "unused")

from tests.backends.redis.servers import Server, free_port, server  # noqa: E402 - of the folder above
from tests.servers import wait_until_it_listens  # noqa: E402 - as above
from tests.soak.processes import Use, family, use_of, workers  # noqa: E402 - as above
from tests.soak.served import LIMIT, SECONDS  # noqa: E402 - as above
from tests.soak.traffic import Traffic, most_in_window  # noqa: E402 - as above

COMMANDS = {
    "starlette": "uvicorn --factory tests.soak.served:starlette_app --workers 2 --port {port} --log-level warning",
    "aiohttp": "aiohttp.web -H 127.0.0.1 -P {port} tests.soak.served:aiohttp_app",
    "django": "gunicorn tests.soak.served:django_app() -w 2 --threads 4 -b 127.0.0.1:{port} --log-level warning",
}
PROCESSES = 5  # that count by themselves while Redis is away
AWAY, RESTARTS, KILLS = 1, 10, 7  # seconds that Redis is away, and between two restarts and two kills
RECOVERY = 1.5  # seconds from the start of Redis until every process has asked it again: the breaker's, and some more
GROWTH = 0.10  # of the memory, and then a few MB that an allocator may keep
SLACK = Use(memory=8 * 1024, files=8)


class Fault(NamedTuple):
    """When something was killed, and when all was well again."""

    begin: float
    end: float


class Report(NamedTuple):
    """What went on, for the checks at the end."""

    traffic: Traffic
    restarts: list[Fault]
    kills: list[Fault]
    before: dict[int, Use]
    after: dict[int, Use | None]
    logs: str


def main(words: list[str]) -> int:
    """Run it, and print what was found."""
    length = seconds_of(words[0] if words else "10m")
    report = soak(length)
    print(f"answers: {dict(sorted(Counter(report.traffic.answers).items()))}")  # noqa: T201 - a program
    print(f"restarts of Redis: {len(report.restarts)}, killed workers: {len(report.kills)}")  # noqa: T201 - as above
    for pid, use in report.before.items():
        print(f"process {pid}: {use} -> {report.after[pid]}")  # noqa: T201 - as above
    complaints = [*promises(report, length), *connections(report), *leaks(report), *tracebacks(report)]
    print("\n".join(complaints) or "all promises held")  # noqa: T201 - as above
    return min(len(complaints), 1)


def seconds_of(text: str) -> int:
    """The seconds of a length such as ``30s`` or ``10m``."""
    found = re.fullmatch(r"(\d+)([sm])", text)
    if found is None or int(found[1]) == 0:
        raise SystemExit(f"a length is a number of seconds or minutes, such as 30s or 10m, not {text!r}")
    return int(found[1]) * {"s": 1, "m": 60}[found[2]]


def soak(length: int) -> Report:
    """Start the servers, send traffic for `length` seconds, and disturb it."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="traffik-soak-")))
        redis = stack.enter_context(server())
        ports = {name: free_port() for name in COMMANDS}
        with (home / "log").open("wb") as log:
            environ = {**os.environ, "SOAK_REDIS": redis.url, "SOAK_LMDB": str(home / "lmdb")}
            servers = {name: start(stack, COMMANDS[name], port, log, environ) for name, port in ports.items()}
        for name, process in servers.items():
            wait_until_it_listens(process, ports[name])
        addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        with Traffic(addresses) as traffic:
            restarts, kills, before = disturb(length, redis, servers)
        time.sleep(SECONDS)  # keys expire, and connections that the clients have closed are closed here too
        after = {pid: use_of(pid) for pid in before}
        for process in servers.values():
            process.terminate()
            process.wait(20)
        return Report(traffic, restarts, kills, before, after, (home / "log").read_text(errors="replace"))


def start(stack: ExitStack, command: str, port: int, log: object, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a server, and kill it at the end at the latest."""
    words = [sys.executable, "-m", *command.format(port=port).split()]
    process = subprocess.Popen(words, cwd=ROOT, env=environ, stdout=log, stderr=log)
    stack.callback(process.kill)
    return process


def disturb(
    length: int, redis: Server, servers: dict[str, subprocess.Popen[bytes]]
) -> tuple[list[Fault], list[Fault], dict[int, Use]]:
    """Restart Redis and kill workers in turns. Returns the faults, and what all processes used after a fifth."""
    restarts: list[Fault] = []
    kills: list[Fault] = []
    before: dict[int, Use] = {}
    begin = time.monotonic()
    next_restart, next_kill = begin + 4, begin + KILLS
    while (now := time.monotonic()) < begin + length:
        if not before and now > begin + max(length / 5, 5):
            pids = [pid for process in servers.values() for pid in family(process.pid)]
            before = {pid: use for pid in pids if (use := use_of(pid)) is not None}
        if now > next_restart:
            redis.kill()
            time.sleep(AWAY)
            redis.restart()
            restarts.append(Fault(now, time.monotonic() + RECOVERY))
            next_restart += RESTARTS
        if now > next_kill and (alive := workers(servers["starlette"].pid)):
            os.kill(max(alive), signal.SIGKILL)  # the youngest, so that one lives all the time
            kills.append(Fault(now, now + 5))
            next_kill += KILLS
        time.sleep(0.05)
    return restarts, kills, before


def promises(report: Report, length: int) -> list[str]:
    """The windows with more than they may have, and the clients with much less than the limit."""
    complaints = []
    for (store, client), admitted in sorted(report.traffic.admitted.items()):
        counts = most_in_window(admitted, SECONDS)
        disturbed = [
            store == "redis" and any(each.begin <= begin + SECONDS and begin <= each.end for each in report.restarts)
            for begin, _ in counts
        ]
        calm = max((count for (_, count), fault in zip(counts, disturbed, strict=True) if not fault), default=0)
        most = max(count for _, count in counts)
        print(f"{store} {client}: {len(admitted)}, in a window {calm}, around a restart {most}")  # noqa: T201 - as above
        if calm > LIMIT:
            complaints.append(f"{store} admitted {calm} requests of {client} in {SECONDS} s, at most {LIMIT} may")
        if most > LIMIT * (PROCESSES + 2):
            complaints.append(f"{store} admitted {most} requests of {client} around a restart")
        if len(admitted) < LIMIT * length / SECONDS / 2:
            complaints.append(f"{store} admitted only {len(admitted)} requests of {client}")
    return complaints


def connections(report: Report) -> list[str]:
    """The responses that should not be, and the connections that broke without a reason."""
    odd = [f"{key}: {n} responses" for key, n in report.traffic.answers.items() if key[2] not in {200, 429}]
    for sent, name in report.traffic.broken:
        if name != "starlette" or not any(each.begin - 5 <= sent <= each.end for each in report.kills):
            odd.append(f"a connection to {name} broke")
    return odd


def leaks(report: Report) -> list[str]:
    """The processes that use more than they did. Those that were killed on purpose are not compared."""
    complaints = [] if report.before else ["no process was measured"]
    for pid, before in report.before.items():
        after = report.after[pid]
        if after is not None and after.memory > before.memory * (1 + GROWTH) + SLACK.memory:
            complaints.append(f"process {pid} grew from {before.memory} to {after.memory} kB")
        if after is not None and after.files > before.files + SLACK.files:
            complaints.append(f"process {pid} had {before.files} open files, and has {after.files}")
    return complaints


def tracebacks(report: Report) -> list[str]:
    """The end of the logs if they have a traceback."""
    return [f"the logs have a traceback:\n{report.logs[-3000:]}"] if "Traceback" in report.logs else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
