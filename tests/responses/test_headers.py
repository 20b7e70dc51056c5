"""The header fields of a decision, parsed as clients parse them: with a library for structured fields."""

from __future__ import annotations

import re

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import NEVER, Decision, Rate, ResponseOptions
from traffik.model.decisions import REFUSED as DENIAL
from traffik.model.decisions import UNAVAILABLE, PartitionedDecision
from traffik.responses.headers import joined, policies, policy_name, retry_after, together
from traffik.responses.options import DEFAULT, FIELDS, UNITS
from traffik.responses.rejections import reject

NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")
SECRET = bytes(range(32))
ALL = ResponseOptions(fields=FIELDS)

PARTS = ("Limit", "Remaining", "Reset")

MINUTE = Rate.parse("100/min")
TAKEN = Decision(True, 100, 42, 0, 12_000_001, MINUTE)
REFUSED = Decision(False, 100, 3, 2_500_000, 30_000_000, MINUTE)
FOR_GOOD = Decision(allowed=False, limit=100, remaining=0, retry_after=NEVER, rate=MINUTE)

numbers = st.integers(0, 2**53 - 1)
uids = st.text(min_size=1, max_size=128)
units = st.sampled_from([None, "content-bytes", "tokens"])
rates = st.builds(Rate, numbers, st.integers(1, 3_000_000_000), unit=units)
several_rates = st.lists(rates, min_size=1, max_size=5, unique=True)
plain = st.builds(Decision, st.booleans(), numbers, numbers, numbers, numbers, rates)
decisions = st.builds(PartitionedDecision.of, plain, st.just(b"") | st.binary(min_size=12, max_size=12))
outgoings = st.builds(
    ResponseOptions,
    fields=st.lists(st.sampled_from(FIELDS), unique=True),
    unit=st.none() | st.sampled_from(UNITS),
    partition_secret=st.none() | st.just(SECRET),
    jitter=st.integers(0, 100),
)


def bound(decision, rate):
    return PartitionedDecision.of(decision._replace(rate=rate), decision.partition)


def parsed(value):
    return http_sf.parse(value.encode(), tltype="list")


class TestEveryField:
    @given(uids, several_rates, decisions, outgoings, st.data())
    def test_it_is_a_structured_field(self, uid, several, decision, responses, data):
        known = policies(uid, several, responses)
        fields = dict(known.headers(bound(decision, data.draw(st.sampled_from(several)))))
        for name in ("RateLimit-Policy", "RateLimit"):
            for item, parameters in parsed(fields.pop(name)) if name in fields else ():
                assert NAME.fullmatch(item)
                assert set(parameters) <= {"q", "w", "qu", "pk", "r", "t"}
        for value in fields.values():
            number, parameters = http_sf.parse(value.encode(), tltype="item")
            assert (type(number), number >= 0, parameters) == (int, True, {})

    @given(uids, several_rates, decisions, outgoings, st.data())
    def test_it_is_the_same_as_bytes(self, uid, several, decision, responses, data):
        known = policies(uid, several, responses)
        decision = bound(decision, data.draw(st.sampled_from(several)))
        text = [(name.lower().encode(), value.encode()) for name, value in known.headers(decision)]
        assert [field for field in text if field[0] != b"retry-after"] == list(known.raw_fields(decision))

    @given(several_rates, decisions, outgoings)
    def test_it_has_the_name_of_a_listed_policy(self, several, decision, responses):
        fields = dict(policies("uid", several, responses).headers(bound(decision, several[-1])))
        if "RateLimit" in fields:
            ((told, _),) = parsed(fields["RateLimit"])
            assert told in [name for name, _ in parsed(fields["RateLimit-Policy"])]

    @given(decisions, outgoings)
    def test_its_wait_is_at_most_the_retry_after(self, decision, responses):
        fields = dict(policies("uid", [MINUTE], responses).headers(bound(decision, MINUTE)))
        if "Retry-After" in fields:
            wait = int(fields["Retry-After"])
            assert decision.retry_after <= wait * 1_000_000
            assert wait <= max(1, decision.wait_seconds) + responses.jitter
            resets = [int(fields[name]) for name in fields if name.endswith("-Reset")]
            resets += [parameters["t"] for _, parameters in parsed(fields.get("RateLimit", ""))]
            assert all(reset <= wait for reset in resets)


@given(plain)
def test_its_seconds_are_rounded_up(decision):
    seconds = retry_after(decision)
    if not decision.allowed and not decision.never:
        assert decision.retry_after <= seconds * 1_000_000 < max(decision.retry_after + 1_000_000, 1_000_001)


class TestTheDraft:
    def test_one_rate_has_one_policy(self):
        known = policies("api:data", [MINUTE])
        assert known.field == '"api:data";q=100;w=60'
        assert known.raw_fields(TAKEN) == (
            (b"ratelimit-policy", b'"api:data";q=100;w=60'),
            (b"ratelimit", b'"api:data";r=42;t=13'),
        )

    def test_each_rate_has_a_policy_and_the_quota_is_that_of_the_binding_one(self):
        known = policies("api", [Rate.parse("10/s"), MINUTE])
        assert known.field == '"api.1";q=10;w=1, "api.2";q=100;w=60'
        assert known.raw_fields(REFUSED)[1] == (b"ratelimit", b'"api.2";r=3;t=3')
        assert (known.violated(REFUSED), known.violated(TAKEN)) == (("api.2",), ())

    def test_a_window_is_sent_only_in_whole_seconds(self):
        assert policies("api", [Rate.parse("10/500ms")]).field == '"api";q=10'

    def test_the_unit_is_sent_if_there_is_one(self):
        known = policies("api", [MINUTE], ResponseOptions(unit="content-bytes"))
        assert dict(known.raw_fields(TAKEN))[b"ratelimit-policy"] == b'"api";q=100;w=60;qu="content-bytes"'

    @pytest.mark.parametrize("unit", [None, "content-bytes"])
    def test_has_the_unit_of_the_rate_before_that_of_the_options(self, unit):
        known = policies("api", [Rate.parse("20k tokens/min burst 60k")], ResponseOptions(unit=unit))
        assert known.field == '"api";q=20000;w=60;qu="tokens"'

    def test_the_partition_is_sent_if_there_is_a_secret(self):
        responses = ResponseOptions(partition_secret=SECRET)
        mark = responses.partition("192.0.2.1")
        fields = dict(policies("api", [MINUTE], responses).headers(PartitionedDecision.of(TAKEN, mark)))
        assert parsed(fields["RateLimit-Policy"]) == [("api", {"q": 100, "w": 60, "pk": mark})]
        assert parsed(fields["RateLimit"]) == [("api", {"r": 42, "t": 13, "pk": mark})]

    def test_without_a_secret_no_partition_is_sent(self):
        marked = PartitionedDecision.of(TAKEN, b"0" * 12)
        assert "pk" not in str(policies("api", [MINUTE], ResponseOptions(jitter=5)).headers(marked))

    def test_without_a_limit_there_are_no_fields(self):
        for responses in (DEFAULT, ResponseOptions(jitter=5)):
            known = policies("api", [], responses)
            assert known.headers(Decision(allowed=True, limit=1, remaining=1)) == []

    def test_if_nothing_was_counted_there_are_no_fields(self):
        for responses in (DEFAULT, ALL):
            assert policies("api", [MINUTE], responses).raw_fields(TAKEN._replace(rate=None)) == ()

    def test_if_the_store_did_not_answer_only_the_policy_is_sent(self):
        away = Decision(False, 100, 0, retry_after=1_000_000, degraded=UNAVAILABLE)
        for responses in (DEFAULT, ALL):
            known = policies("api", [MINUTE], responses)
            assert known.headers(away) == [("Retry-After", "1"), ("RateLimit-Policy", '"api";q=100;w=60')]

    def test_a_denied_client_gets_no_fields(self):
        for responses in (DEFAULT, ALL):
            known = policies("api", [MINUTE], responses)
            assert (known.raw_fields(DENIAL), known.headers(DENIAL)) == ((), [])

    def test_if_a_strategy_returns_another_rate_only_the_policy_is_sent(self):
        known = policies("api", [Rate.parse("10/s"), MINUTE])
        assert [name for name, _ in known.raw_fields(TAKEN._replace(rate=Rate(1, 1)))] == [b"ratelimit-policy"]

        assert known.name(TAKEN._replace(rate=Rate(1, 1))) is None

    def test_the_policy_of_an_only_rate_is_sent_with_every_decision(self):
        known = policies("api", [MINUTE])
        assert known.raw_fields(TAKEN._replace(rate=Rate(7, 1))) == known.raw_fields(TAKEN)

    def test_fields_as_bytes_need_a_quota_and_a_wait(self):
        known, away = policies("api", [MINUTE]), FOR_GOOD._replace(rate=None, degraded=UNAVAILABLE)
        assert known.raw_fields(FOR_GOOD) == known.raw_fields(away) == ((b"ratelimit-policy", b'"api";q=100;w=60'),)
        assert policies("api", []).raw_fields(away) == ()

    def test_without_a_rate_the_unit_is_that_of_the_options(self):
        assert policies("api", [], ResponseOptions(unit="tokens")).unit(DENIAL) == "tokens"

    def test_a_cost_above_the_capacity_has_no_wait(self):
        assert dict(policies("api", [MINUTE]).headers(FOR_GOOD)) == {"RateLimit-Policy": '"api";q=100;w=60'}


class TestTheTriples:
    @pytest.mark.parametrize(("name", "prefix"), [("draft-06", "RateLimit"), ("x-ratelimit", "X-RateLimit")])
    def test_they_are_three_numbers(self, name, prefix):
        known = policies("api", [MINUTE], ResponseOptions(fields=name))
        three = [f"{prefix}-{part}" for part in ("Limit", "Remaining", "Reset")]
        assert known.headers(TAKEN) == list(zip(three, ("100", "42", "13"), strict=True))
        assert known.headers(REFUSED) == [("Retry-After", "3"), *zip(three, ("100", "3", "3"), strict=True)]
        assert known.headers(FOR_GOOD) == [(three[0], "100")]

    def test_they_can_be_sent_together_with_the_draft(self):
        names = [name for name, _ in policies("api", [MINUTE], ALL).headers(TAKEN)]
        assert names[:2] == ["RateLimit-Policy", "RateLimit"]
        assert names[2:] == [f"{x}RateLimit-{part}" for x in ("", "X-") for part in ("Limit", "Remaining", "Reset")]


def test_without_fields_only_the_wait_is_sent():
    known = policies("api", [MINUTE], ResponseOptions(fields=()))
    assert (known.headers(REFUSED), known.raw_fields(TAKEN)) == ([("Retry-After", "3")], ())


def test_a_function_may_write_other_fields():
    def write(known, decision):
        yield "X-Quota", f"{known.name(decision)}: {decision.remaining} in {known.seconds(decision)} s"

    known = policies("api", [MINUTE], ResponseOptions(fields=(write, "x-ratelimit")))
    assert known.raw_fields(TAKEN)[0] == (b"x-quota", b"api: 42 in 13 s")
    assert known.headers(REFUSED)[1] == ("X-Quota", "api: 3 in 3 s")


class TestSeveralDecisions:
    def test_they_are_listed_in_their_order(self):
        one, two = policies("one", [MINUTE]), policies("two", [MINUTE])
        assert [value for name, value in together([(one, TAKEN), (two, REFUSED)]) if name == b"ratelimit"] == [
            b'"one";r=42;t=13',
            b'"two";r=3;t=3',
        ]

    @pytest.mark.parametrize("turned", [False, True])
    def test_single_fields_are_those_of_the_decision_with_the_least_quota_left(self, turned):
        pairs = [(policies("one", [MINUTE], ALL), TAKEN), (policies("two", [MINUTE], ALL), REFUSED)]
        fields = together(pairs[::-1] if turned else pairs)
        names = [name for name, _ in fields]
        assert (names.count(b"ratelimit"), names.count(b"x-ratelimit-remaining")) == (2, 1)
        assert dict(fields)[b"ratelimit-remaining"] == dict(fields)[b"x-ratelimit-remaining"] == b"3"

    def test_limit_and_remaining_are_of_the_same_throttle(self):
        pairs = [(policies("one", [MINUTE], ALL), TAKEN._replace(limit=50)), (policies("two", [MINUTE], ALL), FOR_GOOD)]
        fields = dict(together(pairs))
        assert fields[b"x-ratelimit-limit"] == b"100"
        assert b"x-ratelimit-remaining" not in fields

    def test_single_fields_of_each_kind_are_sent_once_in_their_order(self):
        fields = together([(policies("one", [MINUTE], ALL), TAKEN), (policies("two", [MINUTE], ALL), REFUSED)])
        names = [
            kind + part for kind in (b"ratelimit-", b"x-ratelimit-") for part in (b"limit", b"remaining", b"reset")
        ]
        assert [name for name, _ in fields if name in names] == names
        assert [dict(fields)[name] for name in names] == [b"100", b"3", b"3"] * 2

    def test_single_fields_alone_are_sent_once(self):
        responses = ResponseOptions(fields="x-ratelimit")
        fields = together([(policies(uid, [MINUTE], responses), TAKEN) for uid in ("one", "two")])
        assert [name for name, _ in fields] == [b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset"]

    def test_single_fields_of_different_kinds_are_all_sent(self):
        kinds = [ResponseOptions(fields=kind) for kind in ("draft-06", "x-ratelimit")]
        pairs = [
            (policies("one", [MINUTE], kind), decision) for kind, decision in zip(kinds, (TAKEN, REFUSED), strict=True)
        ]
        assert sorted(together(pairs)) == sorted(
            field for known, decision in pairs for field in known.raw_fields(decision)
        )

    def test_the_fields_of_one_decision_keep_their_order(self):
        known = policies("one", [MINUTE], ResponseOptions(fields=("x-ratelimit", "draft-11")))
        assert together([(known, TAKEN)]) == [*known.raw_fields(TAKEN)]

    def test_without_decisions_there_are_no_fields(self):
        assert together([]) == []


def test_no_number_is_larger_than_a_structured_field_allows():
    fields = policies("api", [MINUTE]).raw_fields(TAKEN._replace(remaining=10**15))
    assert dict(fields)[b"ratelimit"] == b'"api";r=999999999999999;t=13'


class TestARefusalWithOthers:
    def test_its_lists_name_all_policies_and_its_wait_is_its_own(self):
        others = [(policies("two", [MINUTE], ALL), REFUSED._replace(retry_after=9_000_000)), (policies("x", []), TAKEN)]
        fields = joined(policies("one", [MINUTE]), REFUSED, others)
        assert fields[:3] == [
            ("Retry-After", "3"),
            ("RateLimit-Policy", '"one";q=100;w=60, "two";q=100;w=60'),
            ("RateLimit", '"one";r=3;t=3, "two";r=3;t=9'),
        ]
        assert [name for name, _ in fields[3:]] == [f"{x}RateLimit-{part}" for x in ("", "X-") for part in PARTS]

    def test_a_field_with_room_for_one_stays_its_own(self):
        known = policies("one", [MINUTE], ALL)
        assert joined(known, REFUSED, [(known, TAKEN)])[3:] == known.headers(REFUSED)[3:]

    def test_it_takes_no_wait_of_the_others(self):
        assert joined(policies("one", [MINUTE]), FOR_GOOD, [(policies("two", []), REFUSED)]) == [
            ("RateLimit-Policy", '"one";q=100;w=60')
        ]


class TestLikeness:
    @pytest.mark.parametrize("responses", [DEFAULT, ALL, ResponseOptions(problem=False)], ids=repr)
    def test_it_is_equal_for_refusals_with_the_same_response(self, responses):
        known = policies("api", [MINUTE], responses)
        later = REFUSED._replace(retry_after=2_400_000, reset_after=1)
        assert known.likeness(REFUSED) == known.likeness(later)
        assert reject(REFUSED, known).reply([]) == reject(later, known).reply([])
        assert known.likeness(REFUSED) != known.likeness(REFUSED._replace(retry_after=3_400_000))

    def test_it_differs_between_rates_that_are_named(self):
        hour = Rate.parse("100/hour")
        one, two = policies("api", [MINUTE]), policies("api", [MINUTE, hour])
        assert two.likeness(REFUSED) != two.likeness(REFUSED._replace(rate=hour))
        assert one.likeness(REFUSED) == one.likeness(REFUSED._replace(rate=hour))  # it has one form of the field

    def test_it_differs_by_the_seconds_as_they_are_rounded(self):
        known = policies("api", [MINUTE])
        whole = known.likeness(REFUSED._replace(retry_after=3_000_000))
        assert known.likeness(REFUSED) == whole != known.likeness(REFUSED._replace(retry_after=2_000_000))

    def test_it_differs_between_clients_if_responses_do(self):
        known = policies("api", [MINUTE], ResponseOptions(jitter=5))
        one, two = (PartitionedDecision.of(REFUSED, mark) for mark in (b"1", b"2"))
        assert known.likeness(one) != known.likeness(two)

    def test_it_differs_between_decisions_if_a_function_writes_fields(self):
        known = policies("api", [MINUTE], ResponseOptions(fields=[lambda *_: ()]))
        assert known.likeness(REFUSED) != known.likeness(REFUSED._replace(reset_after=1))


def test_an_admitted_hit_has_no_retry_after():
    assert retry_after(Decision(allowed=True, limit=1, remaining=0)) is None


@pytest.mark.parametrize(
    ("uid", "name"),
    [("api:data", "api:data"), ("x" * 60, "x" * 60)],
)
def test_a_uid_with_allowed_characters_is_the_policy_name(uid, name):
    assert policy_name(uid) == name


def test_each_other_character_of_a_uid_is_a_hyphen_in_the_policy_name():
    assert policy_name("a b/c").startswith("a-b-c-")


@pytest.mark.parametrize("uid", ["a b/c", '"; x', "ü", "\udfff", "x" * 61, "x" * 128, "limits.1", "a-0123456789ab"])
def test_any_other_uid_gets_a_hash_at_its_end(uid):
    assert re.fullmatch(r"[A-Za-z0-9._:-]{0,47}-[0-9a-f]{12}", policy_name(uid))


@given(st.lists(st.text(min_size=1, max_size=128), min_size=2, max_size=8, unique=True), st.integers(1, 3))
def test_different_limits_have_different_policy_names(uids, count):
    rates = [Rate(number, 1_000_000) for number in range(1, 1 + count)]
    names = [name for uid in uids for name in policies(uid, rates).names]
    names += [name for uid in uids for name in policies(f"{uid} ", rates[:1]).names]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", name) for name in names)
