"""A throttle whose quota is spent in slices, in every framework."""

from tests.adapters.services import Call, Service
from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.slices import SlicedBackend


def test_requests_are_admitted_in_slices_up_to_the_limit(uid, serve, clock):
    store = SlicedBackend(InMemoryBackend(clock=clock), share=0.1, clock=clock)
    client = serve(Service(store, {"/": [Call("hit", HTTPThrottle(uid, "60/hour"))]}))
    answers = [client.get("/") for _ in range(65)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429] * 5
    left = [int(answer.headers["RateLimit"].split("r=")[1].split(";")[0]) for answer in answers]
    assert left == [*range(59, -1, -1), *[0] * 5]
    assert "retry-after" in answers[-1].headers
