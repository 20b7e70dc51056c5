"""The values of `--key`."""

from __future__ import annotations

import pytest

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.selectors import identity_in, selector


@pytest.mark.parametrize("text", ["", "ip:4", "header", "header:", "field:", "regex:", "user:1", "regex:("])
def test_what_is_no_key_is_refused_with_the_grammar(text):
    with pytest.raises(ConfigurationError, match="is not a key"):
        selector(text)


@pytest.mark.parametrize("text", ["ip", "header:X-Api-Key", "field:user.id", "regex:id=(\\d+)"])
def test_a_key_is_written_in_the_form_in_which_it_is_read(text):
    assert text == str(selector(text))


@pytest.mark.parametrize(
    ("key", "raw", "identity"),
    [
        ("ip", b"192.0.2.1", b"192.0.2.1"),
        ("ip", b"2001:db8::1", b"2001:db8::/64"),
        ("ip", b"::ffff:192.0.2.1", b"192.0.2.1"),
        ("ip", b"192.0.2.1:443", b"192.0.2.1"),
        ("ip", b"[2001:db8::1]:443", b"2001:db8::/64"),
        ("ip", b"fe80::1%eth0", b"fe80::/64"),
        ("field:user", b"2001:db8::1", b"2001:db8::/64"),
        ("field:user", b"shop:ada", b"shop:ada"),
        ("header:X-Key", b"2001:db8::1", b"2001:db8::/64"),
        ("header:X-Key", b"header:x-key:2001:db8::1", b"header:x-key:2001:db8::1"),
    ],
)
def test_only_addresses_are_grouped_by_network(key, raw, identity):
    assert identity == identity_in(selector(key), raw)
