"""Errors keep what they say when they cross processes."""

from __future__ import annotations

import pickle

import pytest

from traffik import BackendError, NeverAdmittedError, WaitTimeoutError
from traffik.model.decisions import REFUSED


@pytest.mark.parametrize("kind", [WaitTimeoutError, NeverAdmittedError])
def test_an_unsuccessful_wait_is_pickled_with_its_decision(kind):
    copy = pickle.loads(pickle.dumps(kind("no", REFUSED)))
    assert (type(copy), str(copy), copy.decision) == (kind, "no", REFUSED)


def test_an_error_of_a_store_tells_whether_the_request_may_have_been_executed():
    assert not BackendError("away").maybe_executed
    copy = pickle.loads(pickle.dumps(BackendError("away", maybe_executed=True)))
    assert (str(copy), copy.maybe_executed) == ("away", True)
