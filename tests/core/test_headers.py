"""The header fields of a decision."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import NEVER, Decision, Rate
from traffik.headers import policies, policy_name, retry_after

# A list of strings with integer parameters, as RFC 9651 spells them.
ITEM = r'"[A-Za-z0-9._:-]{1,64}"(;(q|w|r|t)=[0-9]{1,15})*'
FIELD = re.compile(rf"{ITEM}(, {ITEM})*")

MINUTE = Rate.parse("100/min")
numbers = st.integers(0, 2**53 - 1)
rates = st.builds(Rate, numbers, st.integers(1, 3_000_000_000))
decisions = st.builds(Decision, st.booleans(), numbers, numbers, numbers, numbers, rates)


@given(st.text(min_size=1, max_size=128), st.lists(rates, min_size=1, max_size=5, unique=True), decisions)
def test_fields_are_structured_fields(uid, several, decision):
    known = policies(uid, several)
    fields = dict(known.headers(decision._replace(rate=several[0])))
    assert FIELD.fullmatch(fields.pop("RateLimit-Policy"))
    assert "RateLimit" not in fields or FIELD.fullmatch(fields.pop("RateLimit"))
    assert "Retry-After" not in fields or re.fullmatch("[0-9]+", fields.pop("Retry-After"))
    assert fields == {}


@given(decisions)
def test_obeying_the_seconds_is_enough_and_no_second_too_long(decision):
    seconds = retry_after(decision)
    if not decision.allowed and not decision.never:
        assert decision.retry_after <= seconds * 1_000_000 < max(decision.retry_after + 1_000_000, 1_000_001)


def test_one_rate_is_one_policy():
    known = policies("api:data", [MINUTE])
    assert known.field == '"api:data";q=100;w=60'
    assert known.limit_field(Decision(True, 100, 42, 0, 12_000_001, MINUTE)) == '"api:data";r=42;t=13'


def test_several_rates_are_several_policies_of_which_the_binding_one_is_reported():
    several = [Rate.parse("10/s"), MINUTE]
    known = policies("api", several)
    assert known.field == '"api.1";q=10;w=1, "api.2";q=100;w=60'
    assert known.limit_field(Decision(False, 10, 0, 2_000_000, 9_000_000, MINUTE)) == '"api.2";r=0;t=2'


def test_a_window_that_is_no_whole_second_is_not_stated():
    assert policies("api", [Rate.parse("10/500ms")]).field == '"api";q=10'


def test_what_nothing_limits_has_no_fields():
    assert policies("api", []).headers(Decision(allowed=True, limit=1, remaining=1)) == []


def test_a_cost_that_never_fits_has_no_retry_after():
    never = Decision(allowed=False, limit=100, remaining=0, retry_after=NEVER, rate=MINUTE)
    assert dict(policies("api", [MINUTE]).headers(never)) == {"RateLimit-Policy": '"api";q=100;w=60'}


def test_an_admitted_hit_has_no_retry_after():
    assert retry_after(Decision(allowed=True, limit=1, remaining=0)) is None


@pytest.mark.parametrize(
    ("uid", "name"), [("api:data", "api:data"), ("a b/c", "a-b-c"), ('"; x', "---x"), ("ü", "-"), ("x" * 128, "x" * 64)]
)
def test_a_uid_becomes_a_policy_name(uid, name):
    assert policy_name(uid) == name
