"""What must hold for four workers on any shared store."""

from __future__ import annotations

import json

from tests.live.workers import TOKEN, counts_of, four_workers
from traffik.live.messages import LiveRequest
from traffik.model.coroutines import run_sync


def act(page, **action):
    request = LiveRequest("POST", "/actions", {"authorization": f"Bearer {TOKEN}"}, json.dumps(action).encode())
    return run_sync(page.answer(request, wait=lambda answer: answer)).status


def check_the_sum_and_an_order(kind, name, place):
    """The page of a worker shows the sum of all; what it orders is followed by all."""
    with four_workers(kind, name, place) as workers:
        state = workers.state_when(lambda state: counts_of(state) == (50, 50))
        assert (counts_of(state), state["workers"], state["shared"]) == ((50, 50), 5, True)
        assert sum(state["series"]["refused"]) == 50
        (client,) = state["clients"]
        assert (client["throttle"], client["refused"]) == ("shared", 50)
        assert act(workers.page, action="ban", throttle="shared", client=client["client"], seconds=600) == 200
        workers.page.tick()
        state = workers.state_when(lambda state: workers.hit("ada") == ["banned"] * 4)
        assert (workers.hit("ada"), len(state["bans"])) == (["banned"] * 4, 1)
