"""Errors keep what they say when they cross processes."""

from __future__ import annotations

import pickle

from traffik import BackendError


def test_an_error_of_a_store_tells_whether_the_request_may_have_been_executed():
    assert not BackendError("away").maybe_executed
    copy = pickle.loads(pickle.dumps(BackendError("away", maybe_executed=True)))
    assert (str(copy), copy.maybe_executed) == ("away", True)
