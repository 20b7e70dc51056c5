"""The responses to refused connections."""

from __future__ import annotations

import json

import pytest

from traffik import NEVER, Decision, Rate, ResponseOptions, Throttled
from traffik.model.decisions import REFUSED as DENIED
from traffik.model.decisions import UNAVAILABLE, PartitionedDecision
from traffik.responses.headers import policies
from traffik.responses.negotiation import HTML, JSON, PROBLEM
from traffik.responses.rejections import QUOTA_EXCEEDED, REDUCED_CAPACITY, Rejection, reject

RATE = Rate.parse("100/min")
POLICIES = policies("api", [RATE])
REFUSED = Decision(allowed=False, limit=100, remaining=0, retry_after=2_500_000, rate=RATE)
TOO_DEAR = REFUSED._replace(retry_after=NEVER)
AWAY = REFUSED._replace(retry_after=1, rate=None, degraded=UNAVAILABLE)


def test_a_refusal_has_the_wait():
    rejection = reject(REFUSED, POLICIES)
    assert (rejection.status, rejection.retry_after) == (429, 3)
    assert dict(rejection.headers)["Retry-After"] == "3"


def test_its_body_is_the_problem_of_the_draft():
    assert reject(REFUSED, POLICIES).body == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Quota Exceeded",
        "status": 429,
        "detail": "Too many requests. Retry in 3 seconds.",
        "violated-policies": ["api"],
    }


@pytest.mark.parametrize(
    ("text", "options", "noun", "limit"),
    [
        ("64 MiB/min", None, "bytes", "64 MiB"),
        ("20k ad-clicks/min", None, "ad clicks", "20k ad-clicks"),
        ("5/min", "content-bytes", "bytes", "5 B"),
        ("5/min", None, "requests", "5"),
    ],
)
def test_a_refusal_speaks_of_the_unit_that_is_counted(text, options, noun, limit):
    rate = Rate.parse(text)
    known = policies("api", [rate], ResponseOptions(unit=options))
    assert reject(REFUSED._replace(rate=rate), known).detail == f"Too many {noun}. Retry in 3 seconds."
    dear = reject(TOO_DEAR._replace(rate=rate, limit=rate.limit), known).detail
    assert dear == f"Too many {noun}. This one costs more than the limit of {limit} can ever admit."


def test_the_policy_that_refused_is_named():
    known = policies("api", [Rate.parse("10/s"), RATE])
    assert reject(REFUSED, known).body["violated-policies"] == ["api.2"]


def test_a_store_that_does_not_answer_violates_no_policy():
    rejection = reject(AWAY, POLICIES)
    assert rejection.body == {
        "type": "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
        "title": "Temporary Reduced Capacity",
        "status": 503,
        "detail": "The rate limiter is unavailable. Retry in 1 second.",
    }
    assert (rejection.status, rejection.heading) == (503, "Service Unavailable")


def test_a_websocket_gets_the_same_detail_and_wait():
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


def test_a_denied_client_gets_no_quota_fields():
    rejection = reject(DENIED, POLICIES)
    assert (rejection.status, rejection.retry_after, rejection.headers, rejection.violated) == (403, None, (), ())
    assert rejection.message == {"type": "rate_limit", "error": "This client is not served.", "retry_after": None}
    assert rejection.body == {"title": "Forbidden", "status": 403, "detail": "This client is not served."}


def test_jitter_is_in_every_form_of_the_wait():
    responses = ResponseOptions(jitter=3600)
    decision = PartitionedDecision.of(REFUSED, responses.partition("192.0.2.1"))
    wait = 3 + responses.jitter_of(decision.partition)
    rejection = reject(decision, policies("api", [RATE], responses))
    assert wait > 3
    assert (rejection.retry_after, rejection.message["retry_after"]) == (wait, wait)
    assert rejection.body["detail"] == rejection.message["error"] == f"Too many requests. Retry in {wait} seconds."
    assert dict(rejection.headers)["Retry-After"] == str(wait)
    assert dict(rejection.headers)["RateLimit"] == f'"api";r=0;t={wait}'


def test_every_body_is_plain_json():
    for decision in (REFUSED, TOO_DEAR, AWAY):
        rejection = reject(decision, POLICIES)
        assert json.loads(json.dumps([rejection.body, rejection.message], allow_nan=False))


class TestAReply:
    @pytest.mark.parametrize(
        ("accept", "kind"), [([], PROBLEM), (["*/*"], PROBLEM), ([JSON], JSON), ([f"{HTML}, */*;q=0.8"], HTML)]
    )
    def test_it_has_the_kind_that_the_client_prefers(self, accept, kind):
        rejection = reject(REFUSED, POLICIES)
        status, fields, body = rejection.reply(accept)
        assert (status, dict(fields)["Vary"]) == (429, "Accept")
        assert fields[:-2] == rejection.headers
        assert dict(fields)["Content-Type"] == (f"{HTML}; charset=utf-8" if kind == HTML else kind)
        assert body.decode() == rejection.page if kind == HTML else json.loads(body) == rejection.body

    def test_it_may_be_the_detail_alone(self):
        rejection = reject(REFUSED, policies("api", [RATE], ResponseOptions(problem=False)))
        assert rejection.reply([])[2] == b'{"detail": "Too many requests. Retry in 3 seconds."}'
        assert dict(rejection.reply([])[1])["Content-Type"] == JSON
        assert rejection.kind([HTML]) == HTML

    def test_a_browser_gets_a_small_page_without_other_files(self):
        page = reject(REFUSED, POLICIES).page
        assert "<h1>Too Many Requests</h1><p>Too many requests. Retry in 3 seconds.</p>" in page
        assert page.startswith("<!doctype html>")
        assert not any(word in page for word in ("<script", "<style", "<link", "href=", "src=", "http"))

    def test_another_status_has_another_body(self):
        rejection = Rejection(REFUSED, 403, "No.", None, ())
        assert rejection.body == {"title": "Forbidden", "status": 403, "detail": "No."}
        assert "<h1>Forbidden</h1><p>No.</p>" in rejection.page

    def test_text_in_a_page_is_escaped(self):
        page = Rejection(REFUSED, 429, "<b>&\"'", 1, ()).page
        assert "<p>&lt;b&gt;&amp;&quot;&#x27;</p>" in page


def test_the_problem_types_are_those_of_the_registry():
    assert (QUOTA_EXCEEDED.partition("#")[2], REDUCED_CAPACITY.partition("#")[2]) == (
        "quota-exceeded",
        "temporary-reduced-capacity",
    )


def test_the_error_carries_rejection_and_decision():
    rejection = reject(REFUSED, POLICIES)
    error = Throttled(rejection)
    assert (error.rejection, error.decision, str(error)) == (rejection, REFUSED, rejection.detail)
