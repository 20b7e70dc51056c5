"""What a refused connection is answered."""

from __future__ import annotations

import json

from traffik import NEVER, Decision, Rate, Throttled
from traffik.decisions import REFUSED as DENIED
from traffik.headers import policies
from traffik.rejections import reject

RATE = Rate.parse("100/min")
POLICIES = policies("api", [RATE])
REFUSED = Decision(allowed=False, limit=100, remaining=0, retry_after=2_500_000, rate=RATE)
TOO_DEAR = REFUSED._replace(retry_after=NEVER)


def test_a_refusal_says_when_to_come_back():
    rejection = reject(REFUSED, POLICIES)
    assert (rejection.status, rejection.retry_after) == (429, 3)
    assert rejection.body == {"detail": "Too many requests. Retry in 3 seconds."}
    assert dict(rejection.headers)["Retry-After"] == "3"


def test_a_websocket_is_sent_the_same():
    assert reject(REFUSED, POLICIES).message == {
        "type": "rate_limit",
        "error": "Too many requests. Retry in 3 seconds.",
        "retry_after": 3,
    }


def test_a_cost_that_never_fits_says_so():
    rejection = reject(TOO_DEAR, POLICIES)
    assert (rejection.status, rejection.retry_after) == (429, None)
    assert "more than the limit of 100" in rejection.detail
    assert "Retry-After" not in dict(rejection.headers)


def test_a_client_that_is_denied_is_told_no_quota():
    rejection = reject(DENIED, POLICIES)
    assert (rejection.status, rejection.retry_after, rejection.headers) == (403, None, ())
    assert rejection.message == {"type": "rate_limit", "error": "This client is not served.", "retry_after": None}


def test_every_answer_is_plain_json():
    for decision in (REFUSED, TOO_DEAR):
        rejection = reject(decision, POLICIES)
        assert json.loads(json.dumps([rejection.body, rejection.message], allow_nan=False))


def test_the_error_carries_rejection_and_decision():
    rejection = reject(REFUSED, POLICIES)
    error = Throttled(rejection)
    assert (error.rejection, error.decision, str(error)) == (rejection, REFUSED, rejection.detail)
