"""Slots of requests, in every framework."""

import pytest

from tests import toy
from tests.adapters.services import Call
from traffik import HTTPThrottle, SlidingLog


@pytest.fixture
def throttle(uid, store):
    """A throttle of two requests at once."""
    return HTTPThrottle(uid, "2/60s", strategy=SlidingLog(), backend=store)


def free(stat):
    return stat["hits_remaining"]


class TestASlot:
    def test_it_is_taken_while_the_block_runs_and_given_back_afterwards(self, served, throttle):
        client = served(Call("slot", throttle), Call("slot", throttle, 2), Call("stat", throttle))
        for _ in range(3):
            assert [free(stat) for stat in client.get("/").json()] == [1, 0, 2]

    def test_it_is_given_back_if_another_throttle_rejects_the_request(self, served, throttle, uid):
        none = HTTPThrottle(f"{uid}-none", "0/min")
        assert served(Call("slot", throttle), Call("hit", none)).get("/").status_code == 429
        assert throttle.sync.stat(toy.Request("127.0.0.1")).hits_remaining == 2

    def test_without_a_free_one_the_request_is_rejected_with_the_wait_until_a_lease_ends(self, served, throttle, clock):
        client = served(Call("slot", throttle))
        with throttle.sync.slot(toy.Request("127.0.0.1"), 2):
            clock.advance(seconds=20)
            refused = client.get("/")
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "40")
        assert client.get("/").status_code == 200
