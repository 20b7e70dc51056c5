"""The options for responses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import ResponseOptions
from traffik.responses.options import DEFAULT, FIELDS, LONGEST_JITTER, UNITS

SECRET = b"a secret of more than 16 bytes"
keys = st.text(max_size=200)


def test_the_default_is_the_fields_of_the_draft_and_problem_details():
    assert ResponseOptions(fields=("draft-11",), unit=None, partition_secret=None, jitter=0, problem=True) == DEFAULT


@pytest.mark.parametrize("given", ["x-ratelimit", ["x-ratelimit"], ("x-ratelimit", "x-ratelimit")])
def test_fields_are_one_or_several_names(given):
    assert ResponseOptions(fields=given).fields == ("x-ratelimit",)


def test_every_known_field_and_unit_is_accepted():
    assert ResponseOptions(fields=FIELDS).fields == FIELDS
    assert [ResponseOptions(unit=unit).unit for unit in (*UNITS, "tokens")] == [*UNITS, "tokens"]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"fields": "draft-12"}, ValueError, "'draft-12'"),
        ({"fields": ["draft-11", 5]}, ValueError, "not 5"),
        ({"fields": 5}, TypeError, "not 5"),
        ({"fields": {"draft-11"}}, TypeError, r"in a tuple"),
        ({"unit": "MiB"}, ValueError, "a unit is a word .* not 'MiB'"),
        ({"unit": 5}, ValueError, "a unit is a word .* not 5"),
        ({"partition_secret": b"short"}, ValueError, "not 5 bytes"),
        ({"partition_secret": bytes(65)}, ValueError, "not 65 bytes"),
        ({"partition_secret": "x" * 32}, ValueError, r"secrets\.token_bytes.*not str"),
        ({"jitter": -1}, ValueError, "not -1"),
        ({"jitter": 0.5}, ValueError, "not 0.5"),
        ({"jitter": True}, ValueError, "not True"),
        ({"jitter": LONGEST_JITTER + 1}, ValueError, "0 to 86400"),
        ({"problem": 1}, TypeError, "not 1"),
    ],
)
def test_an_invalid_option_is_an_error_that_names_it(options, error, said):
    with pytest.raises(error, match=said):
        ResponseOptions(**options)


def test_a_secret_is_not_shown():
    assert "secret of" not in repr(ResponseOptions(partition_secret=SECRET))


@pytest.mark.parametrize(
    ("options", "keyed"), [({}, False), ({"jitter": 1}, True), ({"partition_secret": SECRET}, True)], ids=str
)
def test_it_is_keyed_if_responses_depend_on_the_client(options, keyed):
    assert ResponseOptions(**options).keyed is keyed


@given(keys)
def test_a_partition_depends_on_the_client_and_the_secret(key):
    one, same, other = (ResponseOptions(partition_secret=secret) for secret in (SECRET, SECRET, SECRET[::-1]))
    assert one.partition(key) == same.partition(key)
    assert one.partition(key) not in {other.partition(key), DEFAULT.partition(key), one.partition(f"{key}.")}


@given(keys, st.integers(0, LONGEST_JITTER))
def test_jitter_adds_at_most_its_limit(key, jitter):
    responses = ResponseOptions(jitter=jitter)
    assert 0 <= responses.jitter_of(responses.partition(key)) <= jitter


def test_jitter_spreads_many_clients_over_every_second_evenly():
    responses = ResponseOptions(jitter=9)
    counts = [0] * 10
    for client in range(10_000):
        counts[responses.jitter_of(responses.partition(f"192.0.2.{client}"))] += 1
    assert all(900 <= count <= 1100 for count in counts)


def test_a_decision_without_a_partition_has_no_jitter():
    assert ResponseOptions(jitter=3600).jitter_of(b"") == 0
