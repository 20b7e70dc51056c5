"""One throttle in applications of several frameworks, in one process: they count together."""

from contextlib import ExitStack

import httpx
import pytest

from tests.adapters.conftest import FRAMEWORKS
from tests.adapters.services import Call, Service
from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend


@pytest.mark.parametrize("given", [True, False], ids=["store of the throttle", "store of the applications"])
def test_every_framework_counts_in_the_same_quota(uid, given):
    store, limit = InMemoryBackend(), len(FRAMEWORKS)
    throttle = HTTPThrottle(uid, f"{limit}/hour", backend=store if given else None)
    with ExitStack() as stack:
        addresses = [
            stack.enter_context(framework().serving(Service(store, {"/": [Call("hit", throttle)]})))
            for framework in FRAMEWORKS.values()
        ]
        answers = [httpx.get(f"http://{address}/") for address in addresses * 2]
        assert [answer.status_code for answer in answers] == [200] * limit + [429] * limit
        left = [int(answer.headers["RateLimit"].split("r=")[1].split(";")[0]) for answer in answers]
        assert (left, store.keys) == ([*range(limit - 1, -1, -1), *[0] * limit], 1)
