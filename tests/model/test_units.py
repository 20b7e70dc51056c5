"""Units of quota in the text of a rate: each text has one meaning or is an error that says how to write it."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from traffik import Rate, RateError
from traffik.model.calendars import CalendarPeriod
from traffik.model.rates import parse_rates, parse_time

MINUTE, DAY = 60_000_000, 86_400_000_000
BYTES = "content-bytes"

SPELLINGS = {
    "64 MiB/min": Rate(64 * 1024**2, MINUTE, unit=BYTES),
    "64MiB/min": Rate(64 * 1024**2, MINUTE, unit=BYTES),
    "64 mib / min": Rate(64 * 1024**2, MINUTE, unit=BYTES),
    "64 MB per minute": Rate(64_000_000, MINUTE, unit=BYTES),
    "64 mb/min": Rate(64_000_000, MINUTE, unit=BYTES),
    "64 megabytes/min": Rate(64_000_000, MINUTE, unit=BYTES),
    "64 mebibytes/min": Rate(64 * 1024**2, MINUTE, unit=BYTES),
    "1.5 KiB/min": Rate(1536, MINUTE, unit=BYTES),
    "20k bytes/min": Rate(20_000, MINUTE, unit=BYTES),
    "500B/min": Rate(500, MINUTE, unit=BYTES),
    "1 GB/day": Rate(10**9, DAY, unit=BYTES),
    "20k/min": Rate(20_000, MINUTE),
    "1.5K/min": Rate(1_500, MINUTE),
    "1M requests/day": Rate(10**6, DAY),
    "5 requests per minute": Rate(5, MINUTE),
    "1.0/min": Rate(1, MINUTE),
    "500 emails/day": Rate(500, DAY, unit="emails"),
    "5 Web-Hooks/day": Rate(5, DAY, unit="web-hooks"),
    "20k tokens/min burst 60k": Rate(20_000, MINUTE, unit="tokens", burst=60_000),
    "20k tokens/min burst=60,000 tokens": Rate(20_000, MINUTE, unit="tokens", burst=60_000),
    "64 MiB/min burst 0.5 GiB": Rate(64 * 1024**2, MINUTE, unit=BYTES, burst=512 * 1024**2),
    "5/min burst 9": Rate(5, MINUTE, burst=9),
    "5/min burst 1": Rate(5, MINUTE, burst=1),
    "5 content-bytes/min": Rate(5, MINUTE, unit=BYTES),
    "5 kbs/min": Rate(5, MINUTE, unit="kbs"),
    "1.05k/min": Rate(1050, MINUTE),
    f"{'0' * 5000}7.{'0' * 5000}/min": Rate(7, MINUTE),
    f"{2**-40:.40f}TiB/min": Rate(1, MINUTE, unit=BYTES),
}

MISTAKES = {
    "64 M/min": "'M' alone is not a unit: write 20M for a number of requests, and 20 MB for bytes",
    "5 x/min": "'x' is not a unit: write one word of 2 to 32 letters",
    "64 K/min": "'K' alone is not a unit",
    "1m/min": "'m' is not a multiplier: for millions write M",
    "1g/min": "for billions write G",
    "1t/min": "for trillions write T",
    "64Mb/min": "'Mb' may mean bits, and limits count bytes",
    "64 Mbit/s": "'Mbit' may mean bits",
    "20k MiB/min": "'k' is a multiplier already",
    "5tokens/min": "'tokens' is not a multiplier; there are k, M, G, T",
    "64Mi/min": "'Mi' is not a multiplier",
    "1 million/day": "'million' is not a unit",
    "0.3 KiB/min": "not a whole number",
    "1.5/min": "so write 3/2s for 1.5 per second",
    "9,007,199.3T/s": r"too large \(at most 9007199254740991\)",
    "5/min BURST x": "a burst is an amount, as in burst 60k",
    "5/min burst 0": "a burst cannot be 0",
    "5/month burst 9": "a calendar period has no burst",
    "64 MiB/min burst 9 tokens": "the burst is in tokens, and the limit in bytes",
    "5/min; 1 GB/day": "counts requests and '1 GB/day' counts bytes, but a hit has one cost",
}

numbers = st.integers(0, 2**53 - 1)
words = st.from_regex(r"[a-z][a-z0-9_-]{1,31}", fullmatch=True)
near_rates = st.from_regex(
    r"[0-9,.]{1,9} ?([kKMGTm]|[kMGT]i?[Bb]|bytes)? ?(tokens|per|[a-zA-Z]{0,5})? ?(/|per) ?[0-9]{0,2}(s|min|mo)"
    r"( ?(burst|tz) ?=?[0-9.]{0,3}[kMGB]?)?",
    fullmatch=True,
)


@pytest.mark.parametrize(("text", "rate"), SPELLINGS.items(), ids=lambda each: str(each)[:30])
def test_text_is_parsed(text, rate):
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(("text", "why"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_an_error_that_shows_it_and_how_to_write_it(text, why):
    with pytest.raises(RateError, match=why):
        parse_rates(text)


@given(numbers, st.sampled_from([None, BYTES, "tokens"]), st.none() | numbers.filter(bool))
@example(1024**2 + 1, BYTES, 10**6 + 1)
@example(0, BYTES, None)
def test_a_rate_is_parsed_from_its_text_and_its_repr(limit, unit, burst):
    rate = Rate(limit, MINUTE, unit=unit, burst=burst)
    assert Rate.parse(str(rate)) == rate == eval(repr(rate), {"Rate": Rate}) == pickle.loads(pickle.dumps(rate))


@given(words)
def test_a_word_is_a_unit_that_is_parsed_from_its_text_or_an_error(word):
    try:
        rate = Rate.parse(f"7 {word}/min")
    except RateError:
        with pytest.raises(RateError):
            Rate(7, MINUTE, unit=word)
        return
    assert Rate.parse(str(rate)) == rate
    assert rate.unit in {None, BYTES, word}


@given(near_rates)
def test_text_near_a_rate_has_the_same_meaning_in_any_spacing_or_is_an_error(text):
    try:
        rate = Rate.parse(text)
    except RateError:
        return
    assert Rate.parse(str(rate)) == Rate.parse(f" {text.replace('/', ' / ')} ") == rate


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("67108864 B/min", "64 MiB/min"),
        ("1,500 kB/min", "1.5 MB/min"),
        ("1536 B/s", "1536 B/s"),
        ("20,000 tokens/s burst 1500", "20k tokens/s burst 1500"),
        ("20k/s", "20000/s"),
        ("64 MiB/min burst 0.5 GiB", "64 MiB/min burst 512 MiB"),
        ("0 B/s", "0 B/s"),
    ],
)
def test_the_text_is_exact_and_short(text, shown):
    assert str(Rate.parse(text)) == shown


def test_the_noun_of_a_unit_is_for_people_to_read():
    assert [Rate(1, 1, unit=unit).noun for unit in (None, BYTES, "web-hooks")] == ["requests", "bytes", "web hooks"]


@pytest.mark.parametrize("unit", ["MiB", "k", "two words", "", 5, "per", "x" * 33, "tok\u00e9ns"])
def test_something_else_is_not_a_unit(unit):
    with pytest.raises(RateError, match="unit"):
        Rate(1, 1, unit=unit)


def test_rates_of_different_units_or_bursts_are_different():
    assert len({Rate(5, 1), Rate(5, 1, unit="tokens"), Rate(5, 1, burst=9), Rate(5, 1, unit="requests")}) == 3


@pytest.mark.parametrize("time", ["60s", "1 min", "MINUTE", timedelta(seconds=60)])
def test_a_length_of_time_is_text_or_a_timedelta(time):
    assert parse_time(time, "the wait") == MINUTE


@pytest.mark.parametrize("time", ["60s burst 5", "month", "day tz=UTC", "60", "", "soon", 60, None])
def test_another_length_of_time_is_an_error(time):
    with pytest.raises(RateError, match=r"^the wait is a length of time, such as 60s, .* not "):
        parse_time(time, "the wait")


def test_a_calendar_period_has_no_burst():
    with pytest.raises(RateError, match="a calendar period such as 'day tz=UTC' has no burst: leave it out"):
        Rate(5, DAY, CalendarPeriod("day"), burst=9)
