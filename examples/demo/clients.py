"""Three clients of `examples.fastapi_app` over HTTP: what each was predicted to get, and what it got."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import httpx
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from examples.demo.habits import Ask, Habit, Obey, Pause, Seen, deaf, in_bursts, predicted, steady
from examples.fastapi_app import quotes_throttle

SHOWN: Final = 36  # of the latest answers of each client
COLUMN: Final = 0.125  # seconds in a column of the timeline
DOTS: Final = {
    frozenset[bool](): ("·", "dim"),
    frozenset({True}): ("●", "green"),
    frozenset({False}): ("○", "red"),
    frozenset({True, False}): ("◐", "yellow"),
}
"""A column of the timeline, by what happened to its requests, with its colour."""


class Answer(NamedTuple):
    """A response: the seconds since the start, and whether the request was admitted."""

    at: float
    admitted: bool


@dataclass
class Client:
    """A client with an API key, and the responses that it got so far."""

    name: str
    manner: str
    habit: Callable[[], Habit]
    http: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)
    answers: list[Answer] = field(default_factory=list)
    waits: list[bool] = field(default_factory=list)  # whether each wait was long enough
    predicted: int = 0
    policy: str = ""
    start: float = 0

    @property
    def admitted(self) -> int:
        return sum(answer.admitted for answer in self.answers)

    @property
    def refused(self) -> int:
        return len(self.answers) - self.admitted

    @property
    def now(self) -> float:
        return time.monotonic() - self.start

    async def run(self) -> None:
        """Do what the habit says, step by step."""
        self.start = time.monotonic()
        habit = self.habit()
        step = next(habit)
        while True:
            waits: list[int | None] = []
            match step:
                case Ask(requests):
                    waits += await asyncio.gather(*(self.ask() for _ in range(requests)))
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Obey(seconds):
                    await asyncio.sleep(seconds)
                    waits.append(await self.ask())
                    self.waits.append(waits == [None])
            try:
                step = habit.send(Seen(self.now, [wait for wait in waits if wait is not None]))
            except StopIteration:
                return

    async def ask(self) -> int | None:
        """Send one request. Returns None if it was admitted, else the seconds to wait."""
        response = await self.http.get("/quotes", headers={"X-API-Key": f"{self.name}-key"})
        if response.status_code not in {200, 429}:
            response.raise_for_status()
        self.policy = response.headers["RateLimit-Policy"]
        self.answers.append(Answer(self.now, response.status_code == 200))
        return None if response.status_code == 200 else int(response.headers["Retry-After"])


def three_clients() -> list[Client]:
    """One that keeps within the limit, one that goes over it and waits as told, and one that does not care."""
    clients = [
        Client("ada", "4 a second", steady),
        Client("bob", "bursts of 15", in_bursts),
        Client("eve", "30 a second", deaf),
    ]
    for client in clients:
        client.predicted = predicted(client.habit(), quotes_throttle.rate_text)
    return clients


async def send_traffic(clients: list[Client], address: str, console: Console) -> None:
    """Run the clients and show their progress."""
    for client in clients:
        client.http.base_url = address
        await client.http.get("/docs")  # connects, and waits until the service is up
    with Live(console=console, get_renderable=lambda: board(clients), transient=True):
        await asyncio.gather(*(client.run() for client in clients))
    for client in clients:
        await client.http.aclose()


def board(clients: Iterable[Client]) -> RenderableType:
    """The latest responses: a green dot for an admitted request, a red one for a refused one."""
    rows = Table.grid(padding=(0, 2))
    for client in clients:
        dots = Text()
        for answer in client.answers[-SHOWN:]:
            dots.append("●" if answer.admitted else "○", "green" if answer.admitted else "red")
        rows.add_row(Text(client.name, "bold"), f"{client.admitted:>3} of {len(client.answers):<3}", dots)
    return Padding(rows, 1)


def results(clients: Iterable[Client]) -> Table:
    """A row for each client."""
    table = Table(box=box.ROUNDED, show_lines=True, header_style="bold")
    table.add_column("client")
    for heading in ("sent", "admitted,\npredicted", "admitted,\ncounted", "refused"):
        table.add_column(heading, justify="right")
    table.add_column("waiting as long\nas Retry-After says")
    for client in clients:
        table.add_row(
            Text.assemble((client.name, "bold"), (f"\n{client.manner}", "dim")),
            str(len(client.answers)),
            str(client.predicted),
            Text(str(client.admitted), "green" if client.admitted == client.predicted else "red"),
            Text(str(client.refused), "red" if client.refused else "dim"),
            verdict(client.waits),
        )
    return table


def verdict(waits: list[bool]) -> Text:
    """Whether waiting as told was enough."""
    if not waits:
        return Text("was never needed", "dim")
    return Text(f"was enough: {sum(waits)} of {len(waits)}", "green" if all(waits) else "red")


def timelines(clients: list[Client]) -> RenderableType:
    """A line for each client, an eighth of a second in a column."""
    columns = 1 + int(max(answer.at for client in clients for answer in client.answers) / COLUMN)
    grid = Table.grid(padding=(0, 1))
    for client in clients:
        grid.add_row(Text(client.name, "bold"), timeline(client.answers, columns))
    seconds = "".join(f"{second:<8}" for second in range(-(-columns // 8)))
    grid.add_row("", Text(seconds.rstrip() + " s", "dim"))
    legend = Text.assemble(("●", "green"), " all admitted  ", ("◐", "yellow"), " some  ", ("○", "red"), " all refused")
    return Group(grid, Padding(legend, (0, 0, 0, 4)))


def timeline(answers: Iterable[Answer], columns: int) -> Text:
    """A dot for each column in which there were responses."""
    found: list[set[bool]] = [set() for _ in range(columns)]
    for answer in answers:
        found[min(columns - 1, int(answer.at / COLUMN))].add(answer.admitted)
    dots = Text()
    for outcomes in map(frozenset, found):
        dots.append(*DOTS[outcomes])
    return dots


def broken_by(clients: list[Client]) -> list[str]:
    """The failures, as sentences."""
    ada, *others = clients
    broken = [f"{ada.name} kept within the limit and was refused"] * bool(ada.refused)
    for client in others:
        if not client.refused:
            broken.append(f"{client.name} went over the limit and was not refused")
        if not client.waits or not all(client.waits):
            broken.append(f"{client.name} waited as told and was refused again")
    for client in clients:
        # How much eve gets in her time depends on the machine too: a slow one may end it before her last requests.
        if client.admitted > client.predicted or (client.admitted < client.predicted and client.habit is not deaf):
            broken.append(f"{client.name} got {client.admitted} requests, and {client.predicted} were predicted")
        took = max(answer.at for answer in client.answers)
        if client.admitted > most(client.policy, took):
            broken.append(f"{client.name} got {client.admitted} requests, more than {client.policy} allows")
    return broken


def most(policy: str, seconds: float) -> int:
    """The most that a policy such as ``"quotes";q=10;w=2`` admits in a number of seconds."""
    quota, window = (int(number) for number in re.findall(r"[qw]=(\d+)", policy))
    return quota * (int(seconds // window) + 1)
