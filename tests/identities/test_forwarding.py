"""Reading the hops of forwarding headers from the right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik.identities.forwarding import MAX_CHARACTERS, MAX_HOPS, hops, host_of
from traffik.identities.networks import LONGEST_ADDRESS


def listed(*lines):
    return list(hops(lines, "x-forwarded-for"))


def forwarded(*lines):
    return list(hops(lines, "forwarded"))


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("192.0.2.1:_x", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[fe80::1%25eth0]:443", "fe80::1%25eth0"),
        ("192.0.2.1:", None),
        ("192.0.2.1:port", None),
        ("192.0.2.1:123456", None),
        ("[2001:db8::1", None),
        ("[2001:db8::1]443", None),
        ("[2001:db8::1]:", None),
        ("[2001:db8::1]:8", "2001:db8::1"),
        ("[2001:db8::1]:x8", None),
        ("[192.0.2.1]", None),
        ("[2001:db8::1]:443]", None),
        ("1" * LONGEST_ADDRESS, "1" * LONGEST_ADDRESS),
        ("1" * (LONGEST_ADDRESS + 1), None),
    ],
)
def test_brackets_and_port_are_removed(text, host):
    assert host_of(text) == host


class TestAList:
    def test_it_is_read_from_the_right(self):
        assert listed("192.0.2.1,192.0.2.2 ,\t192.0.2.3") == ["192.0.2.3", "192.0.2.2", "192.0.2.1"]

    def test_it_continues_over_several_lines(self):
        assert listed("192.0.2.1, 192.0.2.2", "192.0.2.3") == ["192.0.2.3", "192.0.2.2", "192.0.2.1"]

    @pytest.mark.parametrize("lines", [(), ("",)])
    def test_it_may_be_empty(self, lines):
        assert listed(*lines) == []

    def test_only_spaces_and_tabs_are_around_an_address(self):
        assert listed(" 192.0.2.1\xa0,\t192.0.2.2 ") == ["192.0.2.2", "192.0.2.1\xa0"]

    def test_two_commas_have_an_empty_hop_between_them(self):
        assert listed("192.0.2.1,,192.0.2.3", "") == ["", "192.0.2.3", "", "192.0.2.1"]


class TestForwarded:
    @pytest.mark.parametrize(
        ("element", "host"),
        [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=192.0.2.1:80", "192.0.2.1"),
            ('for="192.0.2.1:80"', "192.0.2.1"),
            ('FOR="[2001:db8::1]:4711"', "2001:db8::1"),
            ("for=[2001:db8::1]", "2001:db8::1"),
            ('for="\\1\\92.0.2.1"', "192.0.2.1"),
            ('by=203.0.113.43; for=192.0.2.1 ;proto=http;host="a,b;for=192.0.2.9"', "192.0.2.1"),
            (";for=192.0.2.1;", "192.0.2.1"),
            ("for=_hidden", "_hidden"),
            ("for=unknown", "unknown"),
            ('for=""', ""),
            ("by=192.0.2.1", None),
            ("for=192.0.2.1;for=192.0.2.2", None),
            ("for = 192.0.2.1", None),
            ("192.0.2.1", None),
            ('for="192.0.2.1', None),
            ('for="192.0.2.1"x', None),
            ("for=", None),
        ],
    )
    def test_the_address_of_an_element_is_in_for(self, element, host):
        assert forwarded(element) == [host]

    def test_several_lines_are_read_from_the_right(self):
        assert forwarded("for=192.0.2.1, for=192.0.2.2", "for=192.0.2.3") == ["192.0.2.3", "192.0.2.2", "192.0.2.1"]

    @pytest.mark.parametrize("lines", [(), ("",)])
    def test_it_may_be_empty(self, lines):
        assert forwarded(*lines) == []

    def test_a_comma_in_a_quoted_string_ends_no_element(self):
        assert forwarded('for=192.0.2.1;host="a,\\",b\\\\", for=192.0.2.2') == ["192.0.2.2", "192.0.2.1"]
        assert forwarded('for=192.0.2.1;host="a,b\\",c"') == ["192.0.2.1"]

    def test_a_comma_at_the_start_has_an_empty_element_before_it(self):
        assert forwarded(",for=192.0.2.1") == ["192.0.2.1", None]

    def test_a_string_begins_at_a_quote_after_two_backslashes(self):
        assert forwarded('for=192.0.2.1,\\\\"a,b"') == [None, "192.0.2.1"]

    @pytest.mark.parametrize("left", ['for="', 'for="192.0.2.9, for=', "\\", 'host="\\"', '"', '""', "\\\\\\"])
    def test_a_quote_on_the_left_has_no_effect(self, left):
        right = 'for="192.0.2.2";host="x,y"'
        assert forwarded(f"{left}, {right}")[0] == forwarded(left, right)[0] == "192.0.2.2"


@pytest.mark.parametrize("read", [listed, forwarded])
class TestALongHeader:
    def test_it_is_read_up_to_a_number_of_hops(self, read):
        assert len(read(", ".join(["for=192.0.2.1"] * 500))) == len(read(*["for=192.0.2.1"] * 500)) == MAX_HOPS

    def test_it_is_read_up_to_a_number_of_characters(self, read):
        assert len(read(f"for=192.0.2.1, {' ' * MAX_CHARACTERS}for=192.0.2.2")) == 0
        assert len(read(f"for=192.0.2.1,{' ' * MAX_CHARACTERS},for=192.0.2.2")) == 1


def test_an_address_that_is_cut_off_is_left_out():
    kept = ",192.0.2.1".rjust(MAX_CHARACTERS - 8, " ")
    assert listed(f"198.51.100.1{kept}") == ["192.0.2.1"]
    kept = ",for=192.0.2.1".ljust(MAX_CHARACTERS)
    assert forwarded(f"for=198.51.100.1{kept}") == ["192.0.2.1"]


def test_a_header_of_the_most_characters_is_not_cut():
    assert listed("192.0.2.1".rjust(MAX_CHARACTERS)) == ["192.0.2.1"]


@pytest.mark.parametrize("sign", ['"', "\\", '\\"', ",", ";", " ", "for=", 'for="', "[", "for=a;"])
@pytest.mark.parametrize("read", [listed, forwarded])
def test_no_header_takes_long(read, sign):
    """The work grows in proportion to the text. If it grew faster, this test would reach its timeout."""
    for _ in range(50):
        assert len(read(sign * (65_536 // len(sign)))) <= MAX_HOPS


@given(st.lists(st.text()), st.sampled_from(["x-forwarded-for", "forwarded"]))
def test_any_header_can_be_parsed(lines, name):
    found = list(hops(lines, name))
    assert len(found) <= MAX_HOPS
    assert all(hop is None or isinstance(hop, str) for hop in found)
