"""Reading the header fields by which servers ask for a wait."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from traffik import NEVER, Decision, Rate, ResponseOptions
from traffik.responses.headers import policies
from traffik.responses.retry_fields import read_wait

NOW = 784_111_777  # Sun, 06 Nov 1994 08:49:37 GMT
SECOND = 1_000_000
FIELDS = (
    *("Retry-After", "Date", "RateLimit", "RateLimit-Policy", "RateLimit-Remaining", "RateLimit-Reset"),
    *("X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset", "Server"),
)


def wait(status=429, now=NOW, **fields):
    """The wait in seconds; a name has `_` for each `-`."""
    listed = [(name.replace("_", "-"), value) for name, value in fields.items()]
    found = read_wait(status, listed, now * SECOND)
    return None if found is None else found / SECOND


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("007", 7),
        ("1.5", 1.5),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
        ("Sun Nov  6 08:50:37 1994", 60),
        ("Sun, 06 Nov 1994 08:40:00 GMT", 0),
        ("Mon, 07 Nov 1994 08:49:37 GMT", 86_400),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_is_seconds_or_a_date(status, value, seconds):
    assert wait(status, Retry_After=value) == seconds
    assert wait(status, RETRY_after=value) == seconds


@pytest.mark.parametrize("value", ["", "-5", "soon", "1e3", "0x10", "5 s", "٣", "+3", "inf", "nan", "1,5"])
def test_an_invalid_retry_after_is_ignored(value):
    assert wait(Retry_After=value) is None


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994",
    ],
)
def test_an_invalid_date_is_ignored(value):
    assert wait(Retry_After=value) is None


def test_a_very_long_number_is_the_longest_wait():
    assert read_wait(429, [("Retry-After", "9" * 5_000)], 0) == NEVER


def test_a_date_is_relative_to_the_date_of_the_response():
    fields = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Retry_After": "Sun, 06 Nov 1994 08:49:47 GMT"}
    assert wait(now=NOW + 5_000, **fields) == 10
    assert wait(now=0, **fields) == 10


def test_a_year_of_two_digits_is_at_most_fifty_years_ahead():
    assert wait(now=1_790_000_000, Retry_After="Sunday, 06-Nov-94 08:49:37 GMT") == 0  # in 1994, seen from 2026
    assert wait(now=1_790_000_000, Retry_After="Sunday, 06-Nov-33 08:49:37 GMT") > 0


@pytest.mark.parametrize(("digits", "year"), [("70", 2070), ("71", 1971)])
def test_a_date_with_a_year_of_two_digits_is_near_the_present(digits, year):
    fields = {"Date": f"Friday, 06-Nov-{digits} 08:49:37 GMT", "Retry_After": f"Fri, 06 Nov {year} 08:50:37 GMT"}
    assert wait(now=50 * 31_556_952, **fields) == 60  # seen from the start of 2020


def test_several_lines_of_a_field_are_one_list():
    fields = [("RateLimit", '"a";r=0;t=40'), ("RateLimit", '"b";r=0;t=3')]
    assert read_wait(429, fields, 0) == 40 * SECOND


def test_the_longest_of_several_retry_afters_is_used():
    assert read_wait(429, [("Retry-After", "3"), ("retry-after", "5"), ("retry-after", "x")], 0) == 5 * SECOND


@pytest.mark.parametrize("status", [200, 301, 404, 500])
def test_a_retry_after_of_another_status_is_ignored(status):
    assert wait(status, Retry_After="5") is None


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"RateLimit": '"api";r=0;t=30'}, 30),
        ({"RateLimit": '"api";r=1;t=30'}, None),
        ({"RateLimit": '"a";r=0;t=3, "b";r=0;t=40, "c";r=9;t=99'}, 40),
        ({"RateLimit": '"a,b;r=9;t=9";r=0;t=3'}, 3),
        ({"RateLimit": '"a \\";r=5";r=0;t=3'}, 3),
        ({"RateLimit": "api;r=0;t=3"}, 3),
        ({"RateLimit": '"api";r=0', "RateLimit_Policy": '"api";q=10;w=60'}, 60),
        ({"RateLimit": '"api";r=0', "RateLimit_Policy": '"other";q=10;w=60'}, None),
        ({"RateLimit": '"b";r=0', "RateLimit_Policy": '"a";w=9, "b";w=60'}, 60),
        ({"RateLimit": '"api" ;r=0', "RateLimit_Policy": '"api";q=10;w=60'}, 60),
        ({"RateLimit": '"api";r=0;t=1=1;t=30'}, None),
        ({"RateLimit": "limit=10, remaining=0, reset=5"}, 5),
        ({"RateLimit": "limit=10, remaining=3, reset=5"}, None),
        ({"RateLimit_Remaining": "0", "RateLimit_Reset": "5"}, 5),
        ({"RateLimit_Remaining": "2", "RateLimit_Reset": "5"}, None),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "5"}, 5),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(1_790_000_060)}, 60),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(1_790_000_060_000)}, 60),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(1_700_000_000)}, 0),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "1790000060000.0005"}, 60),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(10**9 - 1)}, 10**9 - 1),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(10**9)}, 0),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(10**12)}, 0),
        ({"X_Rate_Limit_Remaining": "0", "X_Rate_Limit_Reset": "5"}, 5),
        ({"X_RateLimit_Remaining": "0"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [200, 429])
def test_an_exhausted_quota_is_a_wait_with_every_status(status, fields, seconds):
    assert wait(status, now=1_790_000_000, **fields) == seconds


def test_a_refusal_that_says_only_when_the_quota_is_reset_is_a_wait():
    assert wait(429, X_RateLimit_Reset="5") == wait(429, RateLimit="limit=10, reset=5") == 5
    assert wait(200, X_RateLimit_Reset="5") is None


def test_a_retry_after_takes_precedence_over_other_fields():
    assert wait(Retry_After="3", RateLimit='"api";r=0;t=30', X_RateLimit_Remaining="0", X_RateLimit_Reset="60") == 3


@given(st.integers(0, 4_000_000_000), st.integers(0, 4_000_000_000))
def test_every_date_is_read(now, then):
    date = formatdate(then, usegmt=True)
    assert wait(now=now, Retry_After=date) == max(0, then - now)


@given(st.integers(0, 10**30))
def test_every_number_of_seconds_is_read_or_cut_to_the_longest_wait(seconds):
    found = read_wait(429, [("Retry-After", str(seconds))], 0)
    assert found == seconds * SECOND if seconds * SECOND < NEVER else found == NEVER


texts = st.text() | st.text('0123456789-+.,;="\\ rtwGMT:abc', max_size=60)


@given(st.integers(), st.lists(st.tuples(st.sampled_from(FIELDS), texts)), st.integers(0, 2**62))
@example(429, [("RateLimit", '"' * 5_000), ("RateLimit", '"\\' * 5_000)], 0)
def test_any_text_gives_a_valid_wait_or_none(status, fields, now):
    found = read_wait(status, fields, now)
    assert found is None or 0 <= found <= NEVER


@given(st.integers(1, NEVER - 1), st.sampled_from(["draft-11", "draft-06", "x-ratelimit"]))
def test_the_fields_of_our_refusals_are_read_as_a_wait_that_is_enough(retry_after, fields):
    rate = Rate(10, 60 * SECOND)
    known = policies("api", [rate], ResponseOptions(fields=(fields,)))
    decision = Decision(False, 10, 0, retry_after, retry_after, rate)
    found = read_wait(429, known.headers(decision), 0)
    assert min(retry_after, NEVER) <= found <= retry_after + SECOND
