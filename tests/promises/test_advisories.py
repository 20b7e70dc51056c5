"""Published vulnerabilities of other limiters, none of which works here."""

from __future__ import annotations

import pytest

from tests import toy
from traffik import HTTPThrottle, trust_no_proxies, trust_proxies
from traffik.identities import address, combined
from traffik.model.keys import local_key, partition_key

PROXY, CLIENT = "10.0.0.1", "192.0.2.1"


@pytest.fixture(autouse=True)
def a_proxy_is_trusted():
    trust_proxies(["10.0.0.0/8"])
    yield
    trust_no_proxies()


@pytest.fixture
def counted_in(store):
    """Gets the keys for requests with these lines of X-Forwarded-For and other headers."""
    throttle = HTTPThrottle("advisories", "100/min", backend=store)

    def keys(*lines, peer=PROXY, others=()):
        headers = [*(("x-forwarded-for", line) for line in lines), *others]
        return throttle.sync.stat(toy.Request(peer, headers=headers)).key.partition("{")[2][:-1]

    return keys


def test_the_leftmost_address_is_not_trusted(counted_in):
    assert {counted_in(f"203.0.113.{number}, {CLIENT}") for number in range(9)} == {CLIENT}


def test_the_first_of_several_lines_is_not_trusted(counted_in):
    assert {counted_in(f"203.0.113.{number}", CLIENT) for number in range(9)} == {CLIENT}


def test_a_client_without_a_proxy_is_not_trusted(counted_in):
    assert {counted_in(f"203.0.113.{number}", peer=CLIENT) for number in range(9)} == {CLIENT}


@pytest.mark.parametrize("name", ["forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip", "x-client-ip", "via"])
def test_a_header_that_was_not_named_is_not_read(counted_in, name):
    assert {counted_in(CLIENT, others=[(name, f"for=203.0.113.{number}")]) for number in range(9)} == {CLIENT}


@pytest.mark.parametrize("network", ["::ffff:{}", "64:ff9b::{}"], ids=["IPv4-mapped", "NAT64"])
def test_ipv4_clients_in_ipv6_do_not_share_one_quota(counted_in, network):
    addresses = [f"192.0.2.{number}" for number in range(9)]
    assert [counted_in(network.format(each)) for each in addresses] == addresses
    assert [counted_in(peer=network.format(each)) for each in addresses] == addresses


def test_a_proxy_in_ipv6_is_the_same_proxy(counted_in):
    assert counted_in(CLIENT, peer=f"::ffff:{PROXY}") == CLIENT


def test_the_addresses_of_an_ipv6_client_share_one_quota(counted_in):
    assert len({counted_in(f"2001:db8::{number:x}:1") for number in range(99)}) == 1


def test_the_6to4_networks_of_an_ipv4_client_share_one_quota(counted_in):
    assert {counted_in(f"2002:c000:201:{number}::1") for number in range(9)} == {CLIENT}


@pytest.mark.parametrize("spelling", ["2001:db8::1", "2001:DB8:0::1", "2001:0db8:0000:0000:0000:0000:0000:0001"])
def test_another_spelling_of_an_address_is_the_same_client(counted_in, spelling):
    assert counted_in(spelling) == "2001:db8::/64"


@pytest.mark.parametrize("form", ["192.0.2.1:{}", "[::ffff:192.0.2.1]:{}"])
def test_another_port_is_the_same_client(counted_in, form):
    assert {counted_in(form.format(port)) for port in (1, 443, 65535, "_x")} == {CLIENT}


@pytest.mark.parametrize("form", ["fe80::1%{}", "[fe80::1%25{}]:80"])
def test_another_zone_of_an_address_is_the_same_client(counted_in, form):
    assert {counted_in(form.format(zone)) for zone in ("eth0", "1", "a" * 40)} == {"fe80::/64"}


@pytest.mark.parametrize(
    "hop", ["unknown", "_a", "_b", "localhost", "0x7f.1", "010.0.0.1", "1", "", "192.0.2.1.", "a" * 999]
)
def test_text_that_is_not_an_address_is_not_a_client(counted_in, hop):
    assert counted_in(f"{CLIENT}, {hop}") == PROXY


def test_a_quote_does_not_hide_the_address_of_a_proxy(counted_in):
    trust_proxies(["10.0.0.0/8"], header="Forwarded")
    for quote in ('for="', 'for=203.0.113.1;x="', "\\", '"'):
        assert counted_in(others=[("forwarded", f"{quote}, for={CLIENT}")]) == CLIENT


def test_the_number_of_trusted_addresses_is_limited(counted_in):
    assert counted_in(", ".join(["10.0.0.2"] * 20_000)) == "10.0.0.2"


def test_separators_in_a_scope_or_an_identity_cannot_forge_another_key():
    pairs = [("a", "b:c"), ("a:b", "c"), (None, "a:b:c"), ("", "a:b:c"), ("a", "\0b"), ("1:a", "b")]
    assert len({local_key(*pair) for pair in pairs}) == len(pairs)
    assert len({partition_key(*parts, "x") for parts in [("a", "b:c"), ("a:b", "c")]}) == 2


def test_separators_in_parts_of_an_identity_cannot_forge_another_identity():
    parts = [("a", "b:c"), ("a:b", "c"), ("a", "1:b"), ("a1:", "b"), ("a,b", "c")]
    both = combined(lambda pair: pair[0], lambda pair: pair[1])
    assert len({both(pair, {}) for pair in parts}) == len(parts)


def test_braces_in_an_identity_cannot_choose_a_slot_of_a_cluster():
    keys = [partition_key("traffik", "uid", local_key(None, identity)) for identity in ("{a}b", "}{a", "a}{b")]
    assert {(key.count("{"), key.count("}")) for key in keys} == {(1, 1)}


def test_an_identity_is_never_the_raw_header(counted_in):
    assert "\r" not in counted_in("192.0.2.1\r\nSET x y, 198.51.100.1")
    assert address([])(toy.Request(CLIENT, headers=[("x-forwarded-for", "*")])) == CLIENT
