"""A client cannot choose its key: a model of proxies that append correctly, and of clients that send anything.

For all header fields of a client, and all spellings of addresses by proxies, the identity is the address that the
outermost trusted proxy saw.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik.identities.networks import address_number, networks
from traffik.identities.proxies import client_identity, proxies

TRUSTED = ["10.0.0.0/8", "2001:db8:aaaa::/48"]
OURS = st.one_of(st.ip_addresses(network=TRUSTED[0]), st.ip_addresses(network=TRUSTED[1]))
ANYBODY = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).filter(
    lambda each: not networks(TRUSTED).holds(address_number(str(each)))
)
HEADERS = pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])


def mapped(address):
    return IPv6Address(0xFFFF << 32 | int(address)) if isinstance(address, IPv4Address) else address


def in_brackets(address):
    return f"[{address}]" if isinstance(address, IPv6Address) else str(address)


SPELLINGS = {
    "plain": str,
    "mapped": lambda address: str(mapped(address)),
    "whole": lambda address: address.exploded.upper(),
    "bracketed": in_brackets,
    "with a port": lambda address: f"{in_brackets(address)}:4711",
    "mapped, with a port": lambda address: f"[{mapped(address)}]:4711",
    "with an obfuscated port": lambda address: f"{in_brackets(address)}:_secret",
}
WAYS = {
    "to the last line": lambda lines, hop: [*lines[:-1], f"{lines[-1]}, {hop}"] if lines else [hop],
    "as a line": lambda lines, hop: [*lines, hop],
    "to one line": lambda lines, hop: [",".join([*lines, hop])],
}


class Proxy(NamedTuple):
    address: IPv4Address | IPv6Address
    spelling: str
    way: str
    before: str
    after: str

    def pass_on(self, lines, peer, header):
        hop = SPELLINGS[self.spelling](peer)
        if header == "Forwarded":
            hop = f'{self.before}for="{hop}"{self.after}'
        return WAYS[self.way](lines, hop)


PAIRS = ["", "by=_hidden;", 'host="a,b";', 'ext="\\",for=192.0.2.1, \\\\";', ";"]


def proxies_at(addresses):
    before, after = st.sampled_from(PAIRS), st.sampled_from(PAIRS).map(lambda pair: f";{pair.rstrip(';')}")
    return st.builds(Proxy, addresses, st.sampled_from([*SPELLINGS]), st.sampled_from([*WAYS]), before, after)


PIECES = st.one_of(
    st.sampled_from([",", ";", '"', "\\", "for=", 'for="', "unknown", "_hidden", " ", "[", "]:80", "%eth0", "=", ", "]),
    st.one_of(OURS, ANYBODY).map(str),
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=8),
    st.sampled_from(["10.0.0.9," * 700, '"' * 5000, "for=10.0.0.9, " * 400]),
)
SENT = st.lists(st.lists(PIECES, max_size=12).map("".join), max_size=4)


def arrive(client, sent, chain, header):
    """Send a request through the chain; the peer and lines at its end, and the address that its first proxy saw."""
    peer, lines, seen = client, sent, []
    for proxy in chain:
        seen.append(peer)
        lines, peer = proxy.pass_on(lines, peer, header), proxy.address
    return str(peer), lines, seen


@HEADERS
@given(client=ANYBODY, sent=SENT, chain=st.lists(proxies_at(OURS), max_size=5))
def test_a_client_is_what_the_outermost_trusted_proxy_saw(header, client, sent, chain):
    peer, lines, _ = arrive(client, sent, chain, header)
    assert proxies(TRUSTED, header).identity(peer, lines) == client_identity(str(client))


@HEADERS
@given(client=ANYBODY, sent=SENT, strangers=st.lists(proxies_at(ANYBODY), min_size=1, max_size=3), data=st.data())
def test_an_untrusted_proxy_is_the_client(header, client, sent, strangers, data):
    chain = [*strangers, *data.draw(st.lists(proxies_at(OURS), max_size=4))]
    peer, lines, _ = arrive(client, sent, chain, header)
    assert proxies(TRUSTED, header).identity(peer, lines) == client_identity(str(strangers[-1].address))


@HEADERS
@given(client=ANYBODY, sent=SENT, chain=st.lists(proxies_at(OURS | ANYBODY), min_size=1, max_size=5), data=st.data())
def test_a_number_of_proxies_is_trusted_up_to_that_number(header, client, sent, chain, data):
    count = data.draw(st.integers(1, len(chain)))
    peer, lines, seen = arrive(client, sent, chain, header)
    assert proxies(count, header).identity(peer, lines) == client_identity(str(seen[-count]))


@HEADERS
@given(client=ANYBODY, sent=SENT)
def test_without_a_proxy_no_header_matters(header, client, sent):
    assert proxies(TRUSTED, header).identity(str(client), sent) == client_identity(str(client))


@HEADERS
@given(inside=OURS, sent=SENT, chain=st.lists(proxies_at(OURS), min_size=1, max_size=3))
def test_the_identity_is_an_address(header, inside, sent, chain):
    """A client in a trusted network may send anything, but the result is an address of bounded length."""
    peer, lines, _ = arrive(inside, sent, chain, header)
    client = proxies(TRUSTED, header).client(peer, lines)
    assert ip_address(client.partition("%")[0])
