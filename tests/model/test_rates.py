"""Rates and their text."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import UNLIMITED, Rate, RateError
from traffik.model.rates import parse_rates

MAX_LIMIT = 2**53 - 1
MAX_PERIOD = 36_500 * 86_400_000_000  # a century

valid_rates = st.builds(Rate, st.integers(0, MAX_LIMIT), st.integers(1, MAX_PERIOD))

SPELLINGS = {
    "100/min": Rate(100, 60_000_000),
    "5/s": Rate(5, 1_000_000),
    "10/30s": Rate(10, 30_000_000),
    "200/500ms": Rate(200, 500_000),
    "7/250us": Rate(7, 250),
    "7/250µs": Rate(7, 250),
    "2 per second": Rate(2, 1_000_000),
    "2 PER 3 Seconds": Rate(2, 3_000_000),
    "1000/hour": Rate(1000, 3_600_000_000),
    "1000/2hrs": Rate(1000, 7_200_000_000),
    "3/day": Rate(3, 86_400_000_000),
    "3 / 2 weeks": Rate(3, 1_209_600_000_000),
    "  4/m  ": Rate(4, 60_000_000),
    "0/min": Rate(0, 60_000_000),
    "007/1s": Rate(7, 1_000_000),
    "5 per minute": Rate(5, 60_000_000),
    "5 requests per minute": Rate(5, 60_000_000),
    "1 Request per second": Rate(1, 1_000_000),
    "20 hits/2 s": Rate(20, 2_000_000),
    "100/1m": Rate(100, 60_000_000),
    "10 / second": Rate(10, 1_000_000),
    "1,000/hour": Rate(1000, 3_600_000_000),
    "12,345,678 calls per day": Rate(12_345_678, 86_400_000_000),
    "9007199254740991/s": Rate(2**53 - 1, 1_000_000),
}

# Invalid text, and the position of the mistake.
MISTAKES = {
    "": 0,
    "   ": 3,
    "min": 0,
    "100": 3,
    "100/": 4,
    "/min": 0,
    "-1/min": 0,
    "+1/min": 0,
    "1.5/min": 0,
    "1_000/min": 1,
    "10,00/min": 2,
    "1,0000/min": 1,
    ",100/min": 0,
    "1,000,/min": 5,
    "5 red apples per minute": 6,
    "5requests per minute": 1,
    "10 k/min": 3,
    "5/1,000ms": 3,
    "1e3/min": 1,
    "\u0661\u0660/min": 0,
    "\uff11\uff10/min": 0,
    "10/\u0663s": 3,
    "10/min please": 7,
    "10/min/s": 6,
    "10/parsec": 3,
    "10/0s": 3,
    "10//s": 3,
    "10per2": 2,
    "10/s\x00": 4,
    "9007199254740992/s": 0,
    "1/99999999999weeks": 2,
    "1" * 5000 + "/s": 0,
    "1/" + "9" * 5000 + "s": 2,
    "1/5218weeks": 2,
    "unlimited/s": 0,
    "10 PER MIN!": 10,
    "5/min burst 9007199254740992": 12,
    " " * 60 + "min" + "x" * 60: 60,
}


def name_of(text):
    """The name of a test, without backslashes, which pytest escapes once more in each fork of a process."""
    return ascii(text[:20]).replace("\\", "")


@pytest.mark.parametrize(("text", "rate"), SPELLINGS.items())
def test_text_is_parsed(text, rate):
    assert Rate.parse(text) == rate


@pytest.mark.parametrize("text", MISTAKES, ids=name_of)
def test_other_text_is_an_error_with_the_grammar_and_the_place_of_the_mistake(text):
    with pytest.raises(RateError) as caught:
        Rate.parse(text)
    why, shown, caret, grammar, *_ = str(caught.value).splitlines()
    place = MISTAKES[text]
    before = repr(text[max(0, place - 40) : place])[:-1]
    assert caret == " " * (2 + len(before)) + "^"
    assert shown == "  " + repr(text[max(0, place - 40) : place + 40])
    assert shown.startswith("  " + before)
    assert why.endswith(":")
    assert '"100/min"' in grammar


@pytest.mark.parametrize("rate", [100, "100", " 100 ", [100]], ids=repr)
def test_the_error_for_a_bare_number_shows_how_to_write_a_rate(rate):
    with pytest.raises(RateError, match='write rate="100/min"'):
        parse_rates(rate)


def test_the_error_for_another_object_shows_it_in_short():
    with pytest.raises(RateError, match=r'write rate="1{20}/min", or write'):
        parse_rates(int("1" * 30))
    with pytest.raises(RateError, match=r"^a rate is a Rate or text, not 5\.0 \(float\): write "):
        parse_rates(5.0)


@pytest.mark.parametrize("burst", [0, 2**53, 1.0])
def test_a_burst_out_of_range_or_of_another_type_is_an_error(burst):
    with pytest.raises(RateError, match="the burst of a rate is"):
        Rate(1, 1, burst=burst)


@pytest.mark.parametrize("text", ["10,00/min", "1,0000/min", "1,000,/min", "5/1,000ms"])
def test_the_error_for_a_comma_says_where_commas_are_allowed(text):
    with pytest.raises(RateError, match="a comma separates groups of three digits"):
        Rate.parse(text)


HABITS = {
    "10/60": 'for seconds write rate="10/60s"',
    "10 per hour, 100 per day": "several rates are separated by semicolons",
    "10/hour | 100/day": "several rates are separated by semicolons",
    "10/hour\n100/day": "semicolons separate several rates",
    "unlimted": 'the word is spelled "unlimited"',
    "10 an hour": "there is no slash or per",
    "10/": "the period has no unit of time",
    "10 per minute per user": "each client has its own quota anyway",
    "login": "a rate begins with a whole number",
}


@pytest.mark.parametrize("text", HABITS, ids=name_of)
def test_the_error_for_a_common_mistake_says_how_to_write_it(text):
    with pytest.raises(RateError, match=HABITS[text]):
        parse_rates(text)


def test_times_are_requests():
    assert Rate.parse("10 times per minute") == Rate.parse("10/min")


@given(valid_rates, st.sampled_from(["{:,}/{}us", "{:,} requests per {}us", "{} hits / {} us", "{:,} per {} µs"]))
def test_rates_with_commas_and_words_are_parsed(rate, written):
    assert Rate.parse(written.format(rate.limit, rate.period)) == rate


@given(valid_rates)
def test_every_rate_is_parsed_from_its_own_text(rate):
    assert Rate.parse(str(rate)) == rate


@given(valid_rates)
def test_every_rate_is_pickled_and_hashed_by_value(rate):
    copy = pickle.loads(pickle.dumps(rate))
    assert copy == rate
    assert hash(copy) == hash(rate)


@given(st.text())
def test_any_text_is_a_rate_or_a_rate_error(text):
    try:
        rate = Rate.parse(text)
    except RateError:
        return
    assert rate is UNLIMITED or Rate.parse(str(rate)) == rate


@given(st.from_regex(r"\s*[0-9,]{1,20}\s*(requests|hit)?\s*(/|per)\s*[0-9]{0,20}\s*[a-zµ]{1,5}\s*", fullmatch=True))
def test_text_that_looks_like_a_rate_is_one_or_a_rate_error(text):
    try:
        rate = Rate.parse(text)
    except RateError:
        return
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (Rate(100, 60_000_000), "100/min"),
        (Rate(1, 90_000_000), "1/90s"),
        (Rate(1, 1), "1/us"),
        (UNLIMITED, "unlimited"),
    ],
)
def test_the_text_has_the_largest_unit_that_fits(rate, text):
    assert str(rate) == text


def test_a_period_may_be_a_timedelta():
    assert Rate(5, timedelta(seconds=1.5)) == Rate(5, 1_500_000)


@pytest.mark.parametrize("limit", [-1, 2**53, 1.0, True, "1", None])
def test_a_limit_out_of_range_or_of_another_type_is_an_error(limit):
    with pytest.raises(RateError, match="limit of a rate"):
        Rate(limit, 1)


@pytest.mark.parametrize("period", [0, -1, MAX_PERIOD + 1, 1.0, True, "s", None, timedelta()])
def test_a_period_out_of_range_or_of_another_type_is_an_error(period):
    with pytest.raises(RateError, match="period of a rate"):
        Rate(1, period)


@pytest.mark.parametrize("text", [None, 5, b"5/s", 5.0, ["5/s"]])
def test_only_text_is_parsed(text):
    with pytest.raises(RateError, match="a rate is text"):
        Rate.parse(text)


def test_a_rate_error_is_a_value_error():
    with pytest.raises(ValueError, match="not a rate"):
        Rate.parse("often")


def test_a_rate_cannot_be_changed():
    with pytest.raises(AttributeError):
        Rate(1, 1).limit = 2


@pytest.mark.parametrize("text", ["unlimited", " Unlimited ", "UNLIMITED"])
def test_unlimited_is_one_object(text):
    assert Rate.parse(text) is UNLIMITED
    assert pickle.loads(pickle.dumps(UNLIMITED)) is UNLIMITED
    assert UNLIMITED.unlimited


@pytest.mark.parametrize(
    "several",
    [
        "5/s; 100/min",
        ["5/s", "100/min"],
        [Rate.parse("5/s"), "100/min"],
        "5/s;100/min;5/s",
        ["5/s; 100/min", "unlimited"],
    ],
    ids=repr,
)
def test_several_rates_are_read_in_order_and_once(several):
    assert parse_rates(several) == (Rate.parse("5/s"), Rate.parse("100/min"))


def test_unlimited_alone_leaves_no_rate():
    assert parse_rates("unlimited") == ()


@pytest.mark.parametrize("nothing", ["", ";", "5/s;", [], [""], ()])
def test_no_rate_is_an_error(nothing):
    with pytest.raises(RateError):
        parse_rates(nothing)


@pytest.mark.parametrize("other", [5, None, b"5/s", bytearray(b"5/s"), [5], [None], 5.0])
def test_other_objects_are_an_error(other):
    with pytest.raises(RateError):
        parse_rates(other)


def test_a_number_with_many_decimals_is_no_whole_number():
    with pytest.raises(RateError, match="not a whole number"):
        Rate.parse(f"1.{'3' * 1000}/s")


def test_none_is_no_rate_and_the_error_says_how_to_write_no_limit():
    with pytest.raises(RateError, match=r'\(NoneType\): for no limit write "unlimited", or '):
        parse_rates(None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5/min 7", "only a time zone or a burst follows the period, and semicolons separate several rates"),
        ("5/" + "6" * 60, f'the period has no unit; for seconds write rate="5/{"6" * 38}s"'),
        ("unlim", 'the word is spelled "unlimited"'),
        ("5/MIN, 9/h", "several rates are separated by semicolons"),
        ("5/min and 9/h", "several rates are separated by semicolons"),
        ("5/min PER USER", "each client has its own quota anyway; identifier= says who a client is"),
        ("5,0/min", "a comma separates groups of three digits, as in 1,000"),
        ("5/min burst", "a burst is an amount, as in burst 60k"),
    ],
)
def test_the_first_line_of_an_error_is_the_reason(text, why):
    with pytest.raises(RateError) as caught:
        Rate.parse(text)
    assert str(caught.value).startswith(f"not a rate, since {why}:\n")


@pytest.mark.parametrize(
    ("limit", "period", "why"),
    [
        ("5", 1, "limit of a rate is an integer"),
        (5, "1", "period of a rate is an integer, in microseconds, or a timedelta"),
    ],
)
def test_a_number_of_another_type_is_an_error_with_the_right_one(limit, period, why):
    with pytest.raises(RateError) as caught:
        Rate(limit, period)
    assert str(caught.value).startswith(f"the {why}, not ")
