"""Three clients send requests to `fastapi_app` over HTTP, up to its limit and beyond. Ends with status 1 on a failure.

From the root of the repository:

    python examples/demo.py
"""

from __future__ import annotations

import asyncio
import io
import re
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Final

import httpx
import uvicorn
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

SECONDS: Final = 6.0
SHOWN: Final = 36  # of the latest answers of each client

INSTALL: Final = 'pip install "traffik-core[starlette]"'
PROGRAM: Final = """\
from fastapi import Depends, FastAPI
from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend

throttle = HTTPThrottle(uid="my-quotes", rate="100/min")
app = FastAPI(lifespan=InMemoryBackend().lifespan)

@app.get("/quotes", dependencies=[Depends(throttle)])
async def quotes(): ...
"""


@dataclass
class Client:
    """A client with an API key, and the responses that it got so far."""

    name: str
    manner: str
    habit: Callable[[Client, float], Awaitable[None]]
    http: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)
    answers: list[bool] = field(default_factory=list)
    waits: list[bool] = field(default_factory=list)  # whether each wait was long enough
    first_wait: int | None = None
    policy: str = ""

    @property
    def admitted(self) -> int:
        return sum(self.answers)

    @property
    def refused(self) -> int:
        return len(self.answers) - self.admitted

    async def ask(self) -> int | None:
        """Send one request. Returns None if it was admitted, else the seconds to wait."""
        response = await self.http.get("/quotes", headers={"X-API-Key": f"{self.name}-key"})
        if response.status_code not in {200, 429}:
            response.raise_for_status()
        self.policy = response.headers["RateLimit-Policy"]
        self.answers.append(response.status_code == 200)
        if response.status_code == 200:
            return None
        wait = int(response.headers["Retry-After"])
        if self.first_wait is None:
            self.first_wait = wait
        return wait

    async def obey(self, wait: int) -> None:
        """Wait exactly as long as the service said, and send the request again."""
        await asyncio.sleep(wait)
        self.waits.append(await self.ask() is None)


async def steady(client: Client, end: float) -> None:
    """Send four requests a second, which is within the limit."""
    while time.monotonic() < end:
        await client.ask()
        await asyncio.sleep(0.25)


async def in_bursts(client: Client, end: float) -> None:
    """Send 15 requests at once, wait as told, and repeat."""
    while time.monotonic() < end:
        waits = await asyncio.gather(*(client.ask() for _ in range(15)))
        if wait := max(wait or 0 for wait in waits):
            await client.obey(wait)


async def deaf(client: Client, end: float) -> None:
    """Send 50 requests a second regardless of the responses, and obey the wait only at the end."""
    wait = None
    while time.monotonic() < end or wait is None:
        wait = await client.ask()
        await asyncio.sleep(0.02)
    await client.obey(wait)


@contextmanager
def served(app: str) -> Generator[str, None, None]:
    """Run `app` under uvicorn on a free port of this machine alone; its address."""
    # asyncio sends small responses at once only on sockets that are known to be TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


async def send_traffic(clients: list[Client], address: str, console: Console) -> float:
    """Run the clients and show their progress. Returns the seconds it took."""
    for client in clients:
        client.http.base_url = address
        await client.http.get("/docs")  # connects, and waits until the service is up
    start = time.monotonic()
    with Live(console=console, get_renderable=lambda: board(clients, start), transient=True):
        await asyncio.gather(*(client.habit(client, start + SECONDS) for client in clients))
    for client in clients:
        await client.http.aclose()
    return time.monotonic() - start


def board(clients: list[Client], start: float) -> RenderableType:
    """The latest responses: a green dot for an admitted request, a red one for a refused one."""
    rows = Table.grid(padding=(0, 2))
    for client in clients:
        dots = Text()
        for answer in client.answers[-SHOWN:]:
            dots.append("●" if answer else "○", "green" if answer else "red")
        rows.add_row(Text(client.name, "bold"), f"{client.admitted:>3} of {len(client.answers):<3}", dots)
    gone = time.monotonic() - start
    progress = Table.grid(padding=(0, 2))
    progress.add_row(ProgressBar(SECONDS, gone, width=SHOWN), "asking" if gone < SECONDS else "waiting as told")
    return Padding(Group(rows, Text(), progress), 1)


def results(clients: list[Client]) -> Table:
    """A row for each client."""
    table = Table(box=box.ROUNDED, show_lines=True, header_style="bold")
    table.add_column("client")
    for heading in ("sent", "admitted", "refused", "first\nRetry-After"):
        table.add_column(heading, justify="right")
    table.add_column("waiting exactly\nthat long")
    for client in clients:
        table.add_row(
            Text.assemble((client.name, "bold"), (f"\n{client.manner}", "dim")),
            str(len(client.answers)),
            Text(str(client.admitted), "green"),
            Text(str(client.refused), "red" if client.refused else "dim"),
            Text("–", "dim") if client.first_wait is None else f"{client.first_wait} s",
            verdict(client.waits),
        )
    return table


def verdict(waits: list[bool]) -> Text:
    """Whether waiting as told was enough."""
    if not waits:
        return Text("was never needed", "dim")
    return Text(f"was enough: {sum(waits)} of {len(waits)}", "green" if all(waits) else "red")


def broken_promises(clients: list[Client], took: float) -> list[str]:
    """The failures, as sentences."""
    ada, *others = clients
    broken = [f"{ada.name} kept within the limit and was refused"] * bool(ada.refused)
    for client in others:
        if not client.refused:
            broken.append(f"{client.name} went over the limit and was not refused")
        if not client.waits or not all(client.waits):
            broken.append(f"{client.name} waited as told and was refused again")
    for client in clients:
        if client.admitted > most(client.policy, took):
            broken.append(f"{client.name} got {client.admitted} requests, more than {client.policy} allows")
    return broken


def most(policy: str, seconds: float) -> int:
    """The most that a policy such as ``"quotes";q=10;w=2`` admits in a number of seconds that begin in mid-window."""
    quota, window = (int(number) for number in re.findall(r"[qw]=(\d+)", policy))
    return quota * (int(seconds // window) + 2)


def advice() -> Panel:
    """How to use this in your own app."""
    program = Syntax(PROGRAM.strip(), "python", background_color="default")
    return Panel(Group(Text(INSTALL, "bold"), Text(), program), title="in your own app", box=box.ROUNDED, expand=False)


def report(clients: list[Client], took: float, console: Console) -> bool:
    """Print the results. Returns whether there were no failures."""
    console.print(results(clients))
    broken = broken_promises(clients, took)
    for promise in broken:
        console.print(Text.assemble(("Broken promise: ", "bold red"), promise))
    if not broken:
        console.print(Text.assemble(("As promised", "bold green"), f" by {clients[0].policy}, to each by itself."))
    console.print()
    console.print(advice())
    return not broken


def main() -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without dots and dashes gets question marks
    console = Console()
    clients = [
        Client("ada", "4 a second", steady),
        Client("bob", "bursts of 15", in_bursts),
        Client("eve", "50 a second", deaf),
    ]
    with served("fastapi_app:app") as address:
        console.print(f"Three clients and one limit, at {address}", style="bold", highlight=False)
        took = asyncio.run(send_traffic(clients, address, console))
    return 0 if report(clients, took, console) else 1


if __name__ == "__main__":
    sys.exit(main())
