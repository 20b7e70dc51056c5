"""Paced clients, over a real server: the limiter, the waits that the server asks for, and repeated requests."""

from __future__ import annotations

import pytest

from tests.pacing.clients import Call
from traffik import Limiter, SlidingLog, WaitTimeoutError
from traffik.pacing.pauses import pauses_of

GET = Call()
SECOND = 1_000_000


def refused(status=429, **fields):
    return status, {name.replace("_", "-"): value for name, value in fields.items()}


def test_requests_wait_for_the_limiter(call, store, pauses):
    limiter = Limiter("slow", "2/min", strategy=SlidingLog(), backend=store)
    assert call(*[GET] * 5, limiter=limiter) == [200] * 5
    assert pauses == [60 * SECOND] * 2


def test_a_refused_request_is_repeated_after_the_wait_that_the_server_asks_for(call, api, pauses):
    api.answers = [refused(Retry_After="7")]
    assert call() == [200]
    assert pauses == [7 * SECOND]
    assert len(api.seen) == 2


def test_a_retry_after_date_is_waited_for(call, api, pauses):
    api.answers = [refused(503, Date="Sun, 06 Nov 1994 08:49:37 GMT", Retry_After="Sun, 06 Nov 1994 08:49:47 GMT")]
    assert call() == [200]
    assert pauses == [10 * SECOND]


def test_a_refusal_without_a_wait_is_repeated_after_pauses_that_double(call, api, pauses):
    api.answers = [refused()] * 3
    assert call(retries=3) == [200]
    assert pauses == [1 * SECOND, 2 * SECOND, 4 * SECOND]


def test_a_request_is_repeated_at_most_as_often_as_configured(call, api, pauses):
    api.answers = [refused(Retry_After="1")] * 9
    assert call(retries=2) == [429]
    assert len(api.seen) == 3


def test_without_retries_the_response_is_returned_and_the_next_request_waits(call, api, pauses):
    api.answers = [refused(Retry_After="5")]
    assert call(GET, GET, retries=0) == [429, 200]
    assert pauses == [5 * SECOND]


def test_a_503_without_a_wait_is_returned(call, api, pauses):
    api.answers = [refused(503)]
    assert call() == [503]
    assert (len(api.seen), pauses) == (1, [])


@pytest.mark.parametrize(
    "fields", [{"RateLimit": '"api";r=0;t=9'}, {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "9"}]
)
def test_after_a_response_with_no_quota_left_the_next_request_waits(call, api, pauses, fields):
    api.answers = [refused(200, **fields)]
    assert call(GET, GET) == [200, 200]
    assert pauses == [9 * SECOND]


@pytest.mark.parametrize("value", ["31536000", "9" * 30, "Sun, 06 Nov 2994 08:49:37 GMT"])
def test_a_hostile_wait_is_cut_to_the_longest_pause(call, api, pauses, value):
    api.answers = [refused(Retry_After=value)]
    assert call(longest_pause=30) == [200]
    assert pauses == [30 * SECOND]


@pytest.mark.parametrize("value", ["-1", "soon", "\xa0", "1" + ";" * 2_000])
def test_an_invalid_wait_is_ignored(call, api, pauses, value):
    api.answers = [refused(Retry_After=value)]
    assert call() == [200]
    assert pauses == [1 * SECOND]


def test_the_longest_pause_cuts_pauses_that_double(call, api, pauses):
    api.answers = [refused()] * 4
    assert call(retries=4, longest_pause=2.5) == [200]
    assert pauses == [1 * SECOND, 2 * SECOND, 2.5 * SECOND, 2.5 * SECOND]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_idempotent_methods_are_repeated(call, api, method):
    api.answers = [refused(Retry_After="1")]
    assert call(Call(method)) == [200]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(("options", "status"), [({}, 429), ({"methods": {"post", "patch"}}, 200)])
def test_other_methods_are_repeated_only_if_the_option_says_so(call, api, method, options, status):
    api.answers = [refused(Retry_After="1")]
    assert call(Call(method, body=b"data"), **options) == [status]


@pytest.mark.parametrize("body", [b"data", {"a": 1}])
def test_a_body_is_sent_again_with_a_repeated_request(call, api, body):
    api.answers = [refused(Retry_After="1")]
    assert call(Call("PUT", body=body)) == [200]
    assert api.seen[0] == api.seen[1]
    assert len(api.seen[0][2]) > 3


def test_a_request_whose_body_is_a_stream_is_not_repeated(call, api):
    api.answers = [refused(Retry_After="1")]
    assert call(Call("PUT", body=[b"da", b"ta"])) == [429]
    assert [body for _, _, body in api.seen] == [b"data"]


def test_requests_of_one_host_wait_for_its_pause_and_those_of_another_key_do_not(call, api, pauses):
    api.answers = [refused(Retry_After="5")]
    calls = [Call(path="/a"), Call(path="/b"), Call(path="/a")]
    assert call(*calls, key=lambda request: str(request.url.path), retries=0) == [429, 200, 200]
    assert pauses == [5 * SECOND]
    assert [path for _, path, _ in api.seen] == ["/a", "/b", "/a"]


def test_concurrent_requests_are_admitted_at_the_rate_of_the_limiter(call_together, api, store, pauses):
    limiter = Limiter("slow", "5/min", strategy=SlidingLog(), backend=store)
    assert call_together(*[GET] * 20, limiter=limiter) == [200] * 20
    assert pauses == [60 * SECOND] * 3


def test_no_request_is_sent_during_a_pause(call_together, api, clock):
    api.answers = [refused(Retry_After="50")]
    assert call_together(retries=0) == [429]
    assert call_together(*[GET] * 6) == [200] * 6
    assert min(api.times[1:]) - api.times[0] >= 50 * SECOND


def test_a_timeout_that_is_too_short_for_the_limiter_is_raised(call, api, store, pauses):
    limiter = Limiter("slow", "1/min", strategy=SlidingLog(), backend=store)
    with pytest.raises(WaitTimeoutError, match="'slow' admits nothing within"):
        call(GET, GET, limiter=limiter, timeout=30)
    assert (len(api.seen), pauses) == (1, [])


def test_a_refusal_whose_wait_is_longer_than_the_timeout_is_returned_at_once(call, api, pauses):
    api.answers = [refused(Retry_After="40")]
    assert call(timeout=30) == [429]
    assert pauses == []


def test_if_the_timeout_ends_before_the_pause_an_error_is_raised_at_once(call, api, limiter, pauses):
    pauses_of(limiter).extend("127.0.0.1", 40 * SECOND)
    with pytest.raises(WaitTimeoutError, match="its server has asked for a pause, of which 40 s are left") as caught:
        call(timeout=30)
    assert caught.value.decision.wait_seconds == 40
    assert (api.seen, pauses) == ([], [])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"retries": -1}, ValueError, "retries are an integer from 0, not -1"),
        ({"retries": 1.5}, ValueError, "retries are an integer from 0, not 1.5"),
        ({"longest_pause": 0}, ValueError, "a longest pause is more than 0 seconds"),
        ({"longest_pause": -1}, ValueError, "a longest pause is a finite number"),
        ({"timeout": "1"}, TypeError, "a timeout is a number of seconds"),
        ({"methods": "GET"}, TypeError, "methods are a set of names"),
        ({"key": "host"}, TypeError, "a key is a function of the request"),
        ({"key": lambda request: None}, TypeError, "the key of a request is text"),
        ({"limiter": "5/s"}, TypeError, "a limiter is a Limiter"),
    ],
)
def test_bad_options_are_errors_that_name_them(call, options, error, words):
    with pytest.raises(error, match=words):
        call(**options)
