"""Addresses as numbers, and sets of networks."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import ConfigurationError
from traffik.identities.networks import address_number, networks, networks_of_lines

PREFIXES = st.integers(0, 128)


def holds(given, address):
    return networks(given).holds(address_number(address))


@pytest.mark.parametrize(
    ("given", "address", "expected"),
    [
        ("10.0.0.0/8", "10.255.255.255", True),
        ("10.0.0.0/8", "11.0.0.0", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "10.1.2.3", True),
        ("::ffff:0:0/96", "10.1.2.3", True),
        ("::fffe:0:0/95", "::fffe:0:1", True),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("::/0", "10.0.0.1", False),
        ("::/0", "::ffff:10.0.0.1", False),
        ("0.0.0.0/0", "::1", False),
        ([], "10.0.0.1", False),
        (["192.0.2.0/24", ipaddress.ip_network("10.0.0.0/8")], "10.0.0.1", True),
        (ipaddress.ip_network("10.0.0.0/30"), "10.0.0.2", True),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1", True),
        (["10.0.0.0/8", "10.1.0.0/16"], "10.200.0.1", True),
    ],
)
def test_a_set_contains_the_addresses_of_its_networks(given, address, expected):
    assert holds(given, address) is expected


@pytest.mark.parametrize("text", ["", "10.0.0", "010.0.0.1", "10.0.0.1%eth0", "testclient", "٣.0.0.1", "1.2.3.4/8"])
def test_a_text_that_is_no_address_is_in_no_network(text):
    assert address_number(text) is None
    assert not networks(["0.0.0.0/0", "::/0"]).holds(None)


@given(st.lists(st.tuples(st.ip_addresses(), PREFIXES), max_size=8), st.ip_addresses())
def test_a_set_is_the_union_of_its_networks(listed, address):
    each = [
        ipaddress.ip_network((one, bits % (one.max_prefixlen + 1)), strict=False)
        for one, bits in listed
        if getattr(one, "ipv4_mapped", None) is None
    ]
    if getattr(address, "ipv4_mapped", None) is None:
        assert networks(each).holds(address_number(str(address))) is any(address in network for network in each)


@pytest.mark.parametrize("given", ["10.0.0.1/8", "10.0.0.0/33", "nowhere", "", ["10.0.0.0/8", "x"]])
def test_a_text_that_is_no_network_is_an_error_that_shows_it(given):
    with pytest.raises(ConfigurationError, match=r"is no network, such as '10\.0\.0\.0/8'"):
        networks(given)


def test_a_number_is_no_network():
    with pytest.raises(ConfigurationError, match=r"text such as \"10\.0\.0\.0/8\", or several of them, not 10"):
        networks(10)


@pytest.mark.parametrize(
    ("given", "vast"),
    [
        ("0.0.0.0/0", True),
        ("::/0", True),
        ("2000::/3", True),
        (["0.0.0.0/1", "128.0.0.0/1"], True),
        (["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"], False),
        ([], False),
    ],
)
def test_a_set_of_all_public_addresses_is_vast(given, vast):
    assert networks(given).vast is vast


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (["10.128.0.0/9", "10.0.0.0/9"], "10.0.0.0/8"),
        (["::", "::1"], "::/127"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ],
)
def test_networks_that_touch_are_one(given, same):
    assert networks(given) == networks(same)


def test_networks_that_do_not_touch_are_ranges_of_numbers():
    assert networks(["10.0.0.2", "10.0.0.0"]).starts == tuple(10 * 2**24 - 2**32 + last for last in (0, 2))
    assert networks(["::", "255.255.255.255"]).ends == (-1, 0)
    assert networks("2001:db8::5").starts == (0x20010DB8 << 96 | 5,)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("*", ": all addresses are '0.0.0.0/0' and '::/0', but then"),
        ("proxy.internal-1", ": host names are not looked up"),
        ("PROXY", ": host names are not looked up"),
        ("10.1.2.3/8", ": its addresses are those of '10.0.0.0/8'"),
        ("10.0.0.0/33", ": '10.0.0.0/33' does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_an_error_says_what_to_write(given, words):
    with pytest.raises(ConfigurationError) as caught:
        networks(given)
    assert words in str(caught.value)


def test_a_file_has_one_network_per_line_and_comments():
    lines = ["# offices\n", "\n", "192.0.2.0/24  # Berlin\n", "2001:db8::/48\n"]
    assert networks_of_lines(lines, "allow.txt") == networks(["192.0.2.0/24", "2001:db8::/48"])


def test_a_mistake_in_a_file_is_an_error_with_its_line():
    with pytest.raises(ConfigurationError, match=r"^allow\.txt:2: '192\.0\.2' is no network"):
        networks_of_lines(["10.0.0.0/8", "192.0.2"], "allow.txt")
