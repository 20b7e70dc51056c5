"""The fixtures of all tests."""

from __future__ import annotations

import gc
import os
from functools import cache
from weakref import WeakSet

import pytest
from _pytest.runner import runtestprotocol
from httpx._transports import default
from hypothesis import HealthCheck, Phase, settings

from traffik import notices, trust_no_proxies
from traffik.backends import binding
from traffik.backends.inmemory import InMemoryBackend
from traffik.notices import misconfiguration
from traffik.testing import VirtualClock

# `TRAFFIK_HYPOTHESIS=deep` runs for hours, `quick` for moments. Each run tries other examples, but `mutants` the same.
settings.register_profile("default", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", settings.get_profile("default"), max_examples=10_000)
settings.register_profile("quick", settings.get_profile("default"), max_examples=10)
# The mutants of a module are tested in forks of one process that has already run the tests. No smaller example is
# searched, since it is enough that a test fails.
settings.register_profile(
    "mutants",
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.load_profile(os.environ.get("TRAFFIK_HYPOTHESIS", "default"))


# Reading all certificate authorities takes as long as many a test, and no test speaks TLS with a public server.
default.create_ssl_context = cache(default.create_ssl_context)


def pytest_collection_finish():
    """Let the garbage collector skip what the collection has made, which is most of the memory of a test process."""
    gc.collect()
    gc.freeze()


def pytest_runtest_protocol(item, nextitem):
    """Run a test as pytest does, but leave out the reports of what went well before and after it.

    A process of pytest-xdist sends each report to the one that shows it, which took as long as an ordinary test.
    """
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


@pytest.fixture(autouse=True)
def _alone():
    """Forget what other tests have made, and the notices and settings of the process; 13,000 times, so without helpers.

    Throttles do not find the stores of others, and notices do not count their limits.
    """
    notices.clear_notices()
    limits, stores = misconfiguration._made, binding._made
    misconfiguration._made, binding._made = {}, WeakSet()
    yield
    misconfiguration._made, binding._made = limits, stores
    trust_no_proxies()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Tests marked `anyio` run on both event loops."""
    return request.param


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def store(clock):
    """An in-memory store on the virtual clock."""
    return InMemoryBackend(clock=clock)
