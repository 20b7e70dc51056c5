"""A new user's first minute: runs the start of each framework on docs/start.md in an empty folder.

Run it as ``python -m tests.smoke.quick_start FOLDER`` once the wheels are in `dist/`. Each framework gets a new
environment below FOLDER, with the wheels that its install line names. The files, the commands and the URL are those of
the page; only the port is replaced by a free one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.docs.pages import ROOT, Block, blocks

PAGE = ROOT / "docs" / "start.md"
PORT = "8000"  # on the page
PATIENCE = 60  # seconds for a server to start


class QuickStart(NamedTuple):
    """The section about one framework, and its row in the table of install lines."""

    framework: str
    from_checkout: str
    released: str
    blocks: list[Block]

    def with_port(self, port: int) -> QuickStart:
        """The same quick start with a free port."""
        return self._replace(blocks=[each._replace(text=each.text.replace(PORT, str(port))) for each in self.blocks])

    @property
    def commands(self) -> list[str]:
        return [line for block in self.blocks if block.kind == "console" for line in block.text.splitlines()]


def quick_starts() -> list[QuickStart]:
    """The quick starts, one for each row of the table of install lines."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| `(pip install .+?)` \| `(pip install .+?)` \|$", text, re.MULTILINE)
    return [QuickStart(*row, blocks_below(text, row[0])) for row in rows]


def blocks_below(text: str, framework: str) -> list[Block]:
    """The blocks about a framework, below its heading."""
    heading = re.compile(rf"^## {framework}$", re.MULTILINE).search(text)
    assert heading is not None, f"the page has nothing about {framework}"
    first = text.count("\n", 0, heading.start())
    following = re.compile("^## ", re.MULTILINE).search(text, heading.end())
    last = text.count("\n", 0, following.start() if following else len(text))
    return [block for block in blocks(PAGE) if first < block.line < last]


def main(folder: Path) -> None:
    starts = quick_starts()
    assert {start.framework for start in starts} == {"FastAPI", "Django", "aiohttp", "Flask", "Litestar"}
    for start in starts:
        home = folder / start.framework
        shutil.rmtree(home, ignore_errors=True)
        try_out(start.with_port(free_port()), home)


def try_out(start: QuickStart, home: Path) -> None:
    """Install the packages, write the files, run the server and send requests, as the page says."""
    project = home / "project"
    project.mkdir(parents=True)
    environ = new_environment(home / "environment")

    def run(command: str, cwd: Path = project) -> str:
        done = subprocess.run(command, shell=True, cwd=cwd, env=environ, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    constraints, wheels = ROOT / "constraints.txt", ROOT / "dist"
    run(f"{start.from_checkout} -q --dry-run -c {constraints}", cwd=ROOT)
    run(f"{start.released} -q -f {wheels} -c {constraints}")
    *preparations, serve, request = start.commands
    for command in preparations:
        run(command)
    type_files(start.blocks, project)
    assert request.startswith("curl -i http://127.0.0.1:"), request
    with serving(serve, project, environ):
        statuses = request_until_refused(request.split()[-1])
    version = run(f"python -I {ROOT / 'tests/smoke/ours.py'}")
    assert statuses == [200] * 5 + [429], statuses
    assert version == core_version(), version
    print(f"{start.framework}: traffik-core {version} from the quick start: {statuses}")


def new_environment(folder: Path) -> dict[str, str]:
    """The variables of a shell in which a new virtual environment is active."""
    venv.create(folder, clear=True, with_pip=True, symlinks=os.name != "nt")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DJANGO"))}
    return ours | {"PATH": os.pathsep.join([str(programs), os.environ["PATH"]]), "VIRTUAL_ENV": str(folder)}


def type_files(written: list[Block], project: Path) -> None:
    """Put each Python block that begins with a comment such as ``# main.py`` into that file, or at its end."""
    for block in written:
        if block.kind == "python":
            name, at_end = re.findall(r"^# ([\w/]+\.py)(, at the end)?\n", block.text)[0]
            with (project / name).open("a" if at_end else "w", encoding="utf-8") as file:
                file.write(block.text)


@contextmanager
def serving(command: str, project: Path, environ: dict[str, str]) -> Iterator[None]:
    """Run a server and the processes that it starts while the context lasts."""
    with subprocess.Popen(command, shell=True, cwd=project, env=environ, start_new_session=True) as server:
        try:
            yield
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(PATIENCE)


def request_until_refused(url: str) -> list[int]:
    """Send requests until one has another status than 200, ten at most; their statuses."""
    statuses = [wait_for(url)]
    while statuses[-1] == 200 and len(statuses) < 10:
        statuses.append(status_of(url))
    return statuses


def wait_for(url: str) -> int:
    """The status of the first request that a server answers."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return status_of(url)
        except ConnectionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def status_of(url: str) -> int:
    """Send a request; its status. A refusal must have a wait."""
    where = urlsplit(url)
    connection = HTTPConnection(where.netloc, timeout=PATIENCE)
    try:
        connection.request("GET", where.path)
        response = connection.getresponse()
        if response.status == 429:
            assert 0 < int(response.headers["Retry-After"]) <= 60, response.headers["Retry-After"]
        return response.status
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def core_version() -> str:
    """The version of the core in this checkout."""
    project = tomllib.loads((ROOT / "packages/core/pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
