"""Assertions for tests of an application: about a response, and about a limit."""

from __future__ import annotations

from typing import Any, Final

from traffik.backends.base import Charge
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits.limit import Limit
from traffik.model.descriptions import describe
from traffik.model.rates import Time, parse_time
from traffik.testing.clock import VirtualClock

__all__ = ["assert_allows", "assert_throttled"]

_START: Final = 1_704_067_200_000_000
"""A time at which periods of the calendar begin: midnight in UTC, a Monday, and the first day of a year."""


def assert_throttled(response: Any) -> int:
    """Assert that a throttle refused the request: status 429 and a `Retry-After`.

    Args:
        response: the response of any test client, with `status_code` or `status`, and `headers`.

    Returns:
        The `Retry-After`, in seconds.

    Raises:
        AssertionError: it was not throttled, or has no `Retry-After` in seconds.
        TypeError: it is not a response.
    """
    status, headers = getattr(response, "status_code", getattr(response, "status", None)), _headers(response)
    if type(status) is not int or headers is None:
        raise TypeError(
            f"a response has a status and headers, unlike {describe(response)}; pass the response of a test client, "
            f"and await it if the client is async"
        )
    if status != 429:
        raise AssertionError(f"the response has the status {status}, not 429, so no throttle refused it: {response!r}")
    wait = headers.get("Retry-After")
    if wait is None:
        raise AssertionError(
            "the response has the status 429 and no Retry-After: either it is not from a throttle, or the hit costs "
            "more than the limit, so that no wait is long enough"
        )
    if not (wait.isascii() and wait.isdigit()):
        raise AssertionError(f"the Retry-After of a throttle is a number of seconds, not {wait!r}")
    return int(wait)


def _headers(response: Any) -> Any:
    headers = getattr(response, "headers", None)
    return headers if hasattr(headers, "get") else None


def assert_allows(limit: Limit, requests: int, *, per: Time) -> None:
    """Assert that `limit` admits exactly so many requests of one client in a length of time.

    The client begins with a whole quota and sends each request as soon as it is admitted. Only the rate, the strategy
    and the cost of the limit matter. Its store, its rules and whether it is enabled do not.

        assert_allows(throttle, 5, per="1 min")

    Args:
        limit: a throttle or a `Limiter`.
        requests: 0 or more.
        per: a length of time, as text or a `timedelta`.

    Raises:
        AssertionError: it admits fewer or more.
        RateError: `per` is not a length of time.
        TypeError: `limit` is not a limit, or its rate or cost is a function, so it depends on the request.
        ValueError: `requests` is not an integer from 0.
    """
    if not isinstance(limit, Limit):
        raise TypeError(f"a limit is a throttle or a Limiter, not {describe(limit)}")
    if type(requests) is not int or requests < 0:
        raise ValueError(f"the requests are an integer from 0, not {describe(requests)}")
    for what, function in (("rate", limit.rating), ("cost", limit.price)):
        if function is not None:
            raise TypeError(
                f"the {what} of {limit!r} is a function, so the limit depends on the request; "
                f"send requests and use assert_throttled"
            )
    admitted = _admitted(limit, requests + 1, parse_time(per, "per"))
    if admitted != requests:
        found = f"{admitted} or more" if admitted > requests else str(admitted)
        raise AssertionError(f"{limit!r} admits {found} in {per}, not {requests}")


def _admitted(limit: Limit, most: int, period: int) -> int:
    """The requests that one client gets admitted in the period, up to `most`."""
    if not limit.own_plan.rates:
        return most
    clock, admitted = VirtualClock(_START), 0
    store, charge = InMemoryBackend.spare(clock=clock), Charge(limit.uid, limit.own_plan, "client", limit.cost)
    while admitted < most and clock.now < _START + period:
        (decision,) = store.apply_sync([charge])
        if decision.allowed:
            admitted += 1
        elif decision.never:
            break
        else:
            clock.now += decision.retry_after
    return admitted
