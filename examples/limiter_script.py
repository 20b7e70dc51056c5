"""Limits without a web framework: on emails here. It could also be jobs, logins or calls to an external API.

From the root of the repository:

    python examples/limiter_script.py
"""

from __future__ import annotations

import asyncio
import time

from traffik import Limiter
from traffik.backends.inmemory import InMemoryBackend

mails = Limiter("mails", "3/500ms")
pages = Limiter("pages", "1000/hour")


def send(user: str, subject: str) -> None:
    """Sync code: wait as long as the decision says, which is always long enough."""
    while not (decision := mails.sync.hit(user)):
        if decision.never:  # not for a cost of 1, but a loop that waits must not wait for ever
            raise ValueError(f"{subject!r} can never be sent: the limit is {decision.limit}")
        print(f"{user} waits {decision.wait_ms:.0f} ms")
        time.sleep(decision.wait_ms / 1000)
    print(f"{user} gets {subject!r}, {decision.remaining} more at once")


async def print_pages(user: str, count: int) -> bool:
    """Async code: all pages or none. A refused hit consumes no quota."""
    decision = await pages.hit(user, cost=count)
    print(f"{user} {'prints' if decision else 'may not print'} {count} pages, {decision.remaining} left")
    return decision.allowed


async def print_books() -> None:
    """Tasks share the quota exactly."""
    await asyncio.gather(print_pages("ada", 700), print_pages("ada", 700), print_pages("ada", 300))


def main() -> None:
    with InMemoryBackend():
        for number in range(1, 6):
            send("ada", f"letter {number}")
        asyncio.run(print_books())


if __name__ == "__main__":
    main()
