"""The identity of a client by its address, with and without trusted proxies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import ConfigurationError
from traffik.identities.proxies import DENIED, EXEMPTED, client_identity, proxies

IDENTITIES = {
    "203.0.113.7": "203.0.113.7",
    "::ffff:203.0.113.7": "203.0.113.7",
    "::FFFF:cb00:7107": "203.0.113.7",
    "64:ff9b::203.0.113.7": "203.0.113.7",
    "64:ff9b:1::203.0.113.7": "64:ff9b:1::/64",
    "2002:cb00:7107:5::9": "203.0.113.7",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
    "2001:db8:1:2::": "2001:db8:1:2::/64",
    "2001:DB8:1:2::9": "2001:db8:1:2::/64",
    "2001:db8:1:3::9": "2001:db8:1:3::/64",
    "fe80::1%eth0": "fe80::/64",
    "fe80::1%25eth0": "fe80::/64",
    "::1": "::/64",
    "testclient": "testclient",
    "unix:": "unix:",
    "not:an:address": "not:an:address",
    "": "",
}
NAT64, SIX_TO_FOUR = 0x64FF9B << 64, 0x2002


@pytest.mark.parametrize(("peer", "identity"), IDENTITIES.items(), ids=IDENTITIES)
def test_an_address_is_an_identity(peer, identity):
    assert client_identity(peer) == identity


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_is_the_ipv4_address(address):
    assert client_identity(str(address)) == client_identity(f"::ffff:{address}") == str(address)


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_all_addresses_of_a_network_have_one_identity(address, host):
    other = type(address)(int(address) >> 64 << 64 | host)
    holds_ipv4 = any(int(each) >> 32 in {0xFFFF, NAT64} for each in (address, other))
    assert client_identity(str(address)) == client_identity(str(other)) or holds_ipv4


@given(st.ip_addresses(v=4), st.integers(0, 2**80 - 1))
def test_a_network_made_from_an_ipv4_address_has_its_identity(address, rest):
    from ipaddress import IPv6Address

    assert client_identity(str(IPv6Address(SIX_TO_FOUR << 112 | int(address) << 80 | rest))) == str(address)


@pytest.mark.parametrize(
    ("bits", "identity"),
    [(48, "2001:db8:1::/48"), (56, "2001:db8:1:200::/56"), (64, "2001:db8:1:203::/64"), (128, "2001:db8:1:203::9/128")],
)
def test_the_prefix_can_be_chosen(bits, identity):
    assert proxies([], ipv6_prefix=bits).identity("2001:db8:1:203::9", ()) == identity


@given(st.text())
def test_any_text_has_an_identity(peer):
    assert isinstance(client_identity(peer), str)


TRUSTED = ["10.0.0.0/8", "2001:db8:aaaa::/48"]


def client(peer, *lines, header="X-Forwarded-For", trusted=TRUSTED):
    return proxies(trusted, header).identity(peer, lines)


class TestTrustedNetworks:
    @pytest.mark.parametrize(
        ("peer", "lines", "expected"),
        [
            ("203.0.113.7", ["192.0.2.1"], "203.0.113.7"),
            ("10.0.0.1", [], "10.0.0.1"),
            ("10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", ["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", ["198.51.100.9", "192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", ["198.51.100.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", ["192.0.2.1", "10.0.0.3, 10.0.0.2"], "192.0.2.1"),
            ("::ffff:10.0.0.1", ["192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1"),
            ("2001:db8:aaaa::1", ["2001:db8:bbbb::7"], "2001:db8:bbbb::/64"),
            ("10.0.0.1", ["[2001:db8:bbbb::7]:443, 10.0.0.2:80"], "2001:db8:bbbb::/64"),
            ("10.0.0.1", ["::ffff:192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", ["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            ("10.0.0.1", ["192.0.2.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", ["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", ["192.0.2.1, "], "10.0.0.1"),
            ("64:ff9b::10.0.0.1", ["192.0.2.1"], "10.0.0.1"),
            ("unix:", ["192.0.2.1"], "unix:"),
            (None, ["192.0.2.1"], None),
        ],
    )
    def test_the_client_is_the_first_address_outside_of_them(self, peer, lines, expected):
        assert client(peer, *lines) == expected

    def test_forwarded_is_read_in_the_same_way(self):
        lines = ["for=198.51.100.9", 'for="[2001:db8:bbbb::7]:4711";by=_x, for=10.0.0.2;host="a,b"']
        assert client("10.0.0.1", *lines, header="Forwarded") == "2001:db8:bbbb::/64"

    @pytest.mark.parametrize("hop", ["for=_hidden", "for=unknown", "by=10.0.0.2", "for=192.0.2.1;for=192.0.2.2", ""])
    def test_reading_ends_at_an_element_without_an_address(self, hop):
        assert client("10.0.0.1", f"for=192.0.2.1, {hop}, for=10.0.0.2", header="Forwarded") == "10.0.0.2"

    def test_may_be_empty(self):
        assert client("10.0.0.1", "192.0.2.1", trusted=[]) == "10.0.0.1"


class TestACountOfProxies:
    @pytest.mark.parametrize(
        ("count", "peer", "lines", "expected"),
        [
            (1, "203.0.113.7", ["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            (2, "203.0.113.7", ["198.51.100.9", "192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (2, "203.0.113.7", ["192.0.2.1"], "192.0.2.1"),
            (2, "203.0.113.7", ["192.0.2.1, unknown"], "203.0.113.7"),
            (3, "203.0.113.7", ["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
            (1, "203.0.113.7", [], "203.0.113.7"),
            (1, None, ["192.0.2.1"], "192.0.2.1"),
            (1, None, [], None),
        ],
    )
    def test_the_client_is_the_address_from_the_outermost_proxy(self, count, peer, lines, expected):
        assert client(peer, *lines, trusted=count) == expected

    def test_forwarded_is_read_in_the_same_way(self):
        assert client("203.0.113.7", 'for="[2001:db8::1]"', header="Forwarded", trusted=1) == "2001:db8::/64"

    def test_may_be_from_1_to_32(self):
        assert [proxies(count).trusted for count in (1, 32)] == [1, 32]


def test_the_header_is_x_forwarded_for_by_default():
    assert proxies([]).header == "x-forwarded-for"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trusted_proxies": 0}, "the number of proxies is from 1 to 32, not 0"),
        ({"trusted_proxies": 33}, "from 1 to 32, not 33"),
        ({"trusted_proxies": True}, "from 1 to 32, not True"),
        ({"trusted_proxies": ["10.0.0.1/8"]}, "'10.0.0.1/8' is no network"),
        ({"trusted_proxies": [], "header": "X Forwarded"}, "a header is a name, such as 'X-Forwarded-For', not 'X For"),
        ({"trusted_proxies": [], "header": None}, "not None"),
        ({"trusted_proxies": [], "ipv6_prefix": 47}, "from 48 to 128 bits, not 47"),
        ({"trusted_proxies": [], "ipv6_prefix": 129}, "from 48 to 128 bits, not 129"),
        ({"trusted_proxies": [], "ipv6_prefix": 64.0}, "from 48 to 128 bits, not 64.0"),
        ({"trusted_proxies": [], "ipv6_prefix": True}, "from 48 to 128 bits, not True"),
    ],
)
def test_an_invalid_argument_is_an_error(options, message):
    with pytest.raises(ConfigurationError) as caught:
        proxies(**options)
    assert message in str(caught.value)


def test_the_repr_of_a_special_identity_is_its_name():
    assert [repr(each) for each in (DENIED, EXEMPTED)] == ["DENIED", "EXEMPTED"]
