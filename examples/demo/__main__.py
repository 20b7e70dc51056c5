"""Real clients, real servers and a naive limiter beside them. Ends by itself, with status 1 on a broken promise.

From the root of the repository:

    python -m examples.demo
    python -m examples.demo --keep    # leaves the service running, to try with curl
"""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import sys
import time
from typing import Final

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.syntax import Syntax
from rich.text import Text

from examples.demo import attacks, clients, refusal, waits
from examples.demo.serving import served

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


def show_clients(address: str, console: Console) -> list[str]:
    """Three clients, then a refusal as it is on the wire. Returns the broken promises."""
    three = clients.three_clients()
    console.print(f"Three clients and one limit, at {address}", style="bold", highlight=False)
    asyncio.run(clients.send_traffic(three, address, console))
    console.print(clients.results(three), clients.timelines(three), "")
    console.print(refusal.shown(refusal.first_refusal(address), address), "")
    return clients.broken_by(three)


def show_waits(console: Console) -> list[str]:
    """Clients that come back early and on time. Returns the broken promises."""
    returns = waits.come_back_all()
    console.print("Twenty refused clients come back, on a virtual clock", style="bold")
    console.print(waits.shown(returns), "")
    return waits.broken_by(returns)


def show_attacks(console: Console) -> list[str]:
    """Attacks on traffik and on a naive limiter. Returns the broken promises."""
    tried = attacks.attack_all(console)
    console.print("Beside a naive limiter of ten lines (examples/demo/naive.py)", style="bold", highlight=False)
    console.print(attacks.table_of(tried), "")
    return attacks.broken_by(tried)


def advice() -> Panel:
    """How to use this in your own app."""
    program = Syntax(PROGRAM.strip(), "python", background_color="default")
    return Panel(Group(Text(INSTALL, "bold"), Text(), program), title="in your own app", box=box.ROUNDED, expand=False)


def conclude(broken: list[str], console: Console) -> int:
    """Print whether all was as promised. Returns the status to exit with."""
    for promise in broken:
        console.print(Text.assemble(("Broken promise: ", "bold red"), promise))
    if not broken:
        console.print(Text.assemble(("As promised.", "bold green")))
    return 1 if broken else 0


def keep(address: str, console: Console) -> None:
    """Leave the service running until it is interrupted."""
    console.print("The service runs until Ctrl+C. Try this, eleven times within two seconds:\n")
    console.print(f"    {refusal.curl(address)}\n", soft_wrap=True, highlight=False)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("Stopped.")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="See traffik at work.")
    parser.add_argument("--keep", action="store_true", help="leave the service running, to try with curl")
    wanted = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without dots and dashes gets question marks
    logging.getLogger("traffik.notices").addHandler(logging.NullHandler())  # the one there is, is shown in its place
    console = Console()
    with served("examples.fastapi_app:app") as address:
        broken = show_clients(address, console) + show_waits(console) + show_attacks(console)
        console.print(advice())
        status = conclude(broken, console)
        if wanted.keep:
            keep(address, console)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
