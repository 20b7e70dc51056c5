"""Who a client is by its address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik.clients import client_identity

IDENTITIES = {
    "203.0.113.7": "203.0.113.7",
    "::ffff:203.0.113.7": "203.0.113.7",
    "::FFFF:cb00:7107": "203.0.113.7",
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


@pytest.mark.parametrize(("peer", "identity"), IDENTITIES.items(), ids=IDENTITIES)
def test_an_address_is_an_identity(peer, identity):
    assert client_identity(peer) == identity


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_itself_however_it_is_mapped(address):
    assert client_identity(str(address)) == client_identity(f"::ffff:{address}") == str(address)


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_nobody_changes_identity_within_a_network(address, host):
    if address.ipv4_mapped is None:
        other = type(address)(int(address) >> 64 << 64 | host)
        assert client_identity(str(address)) == client_identity(str(other)) or other.ipv4_mapped is not None


@given(st.text())
def test_any_text_is_some_identity(peer):
    assert isinstance(client_identity(peer), str)
