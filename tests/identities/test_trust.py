"""The proxies that a process trusts, tested with throttles without an identifier."""

from __future__ import annotations

import sys

import pytest

from tests import toy
from traffik import (
    ConfigurationError,
    HTTPThrottle,
    Limiter,
    Throttled,
    WebSocketThrottle,
    identities,
    notices,
    trust_no_proxies,
    trust_proxies,
)
from traffik.identities.trust import current

pytestmark = pytest.mark.anyio


@pytest.fixture
def throttle(store):
    return HTTPThrottle("trust", "1/min", backend=store)


def request(peer="10.0.0.1", **headers):
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return toy.Request(peer, headers=lines)


def keys(throttle, *requests):
    return [throttle.sync.stat(each).key.partition("{")[2].rstrip("}") for each in requests]


def said():
    return [(notice.id, notice.about) for notice in notices.said()]


class TestWithoutTrust:
    def test_no_header_is_read(self, throttle):
        assert keys(throttle, request(x_forwarded_for="192.0.2.1")) == ["10.0.0.1"]

    def test_the_addresses_of_a_network_are_one_client(self, throttle):
        assert keys(throttle, request("2001:db8:1:2::3")) == ["2001:db8:1:2::/64"]

    @pytest.mark.parametrize("trust", [None, ["10.0.0.0/8"]])
    def test_a_connection_without_an_address_is_an_error_that_says_what_to_set(self, throttle, trust):
        if trust is not None:
            trust_proxies(trust)
        with pytest.raises(ConfigurationError, match=r"traffik\.trust_proxies\(1\).* give the throttle an identifier"):
            throttle.sync.hit(request(None, x_forwarded_for="192.0.2.1"))


class TestTrustedProxies:
    def test_they_apply_to_every_throttle_at_once(self, throttle, store):
        made_later = []
        for _ in range(50):
            throttle.sync.check(request())
        trust_proxies(["10.0.0.0/8"])
        made_later.append(WebSocketThrottle("trust:ws", "1/min", backend=store))
        for each in (throttle, *made_later):
            each.sync.hit(request(x_forwarded_for="192.0.2.1"))
            assert not each.sync.check(request(x_forwarded_for="192.0.2.1"))
            assert each.sync.check(request(x_forwarded_for="192.0.2.2"))

    async def test_they_apply_in_async_code(self, throttle):
        trust_proxies(["10.0.0.0/8"])
        await throttle.hit(request(x_forwarded_for="192.0.2.1"))
        await throttle.hit(request(x_forwarded_for="192.0.2.2"))
        with pytest.raises(Throttled):
            await throttle.hit(request(x_forwarded_for="192.0.2.2"))

    def test_only_one_header_is_read(self, throttle):
        trust_proxies("10.0.0.0/8", header="Forwarded")
        both = request(x_forwarded_for="192.0.2.1", forwarded="for=192.0.2.2")
        assert keys(throttle, both) == ["192.0.2.2"]

    def test_a_number_of_proxies_works_with_a_unix_socket(self, throttle):
        trust_proxies(1)
        assert keys(throttle, request(None, x_forwarded_for="198.51.100.9, 192.0.2.1")) == ["192.0.2.1"]

    def test_without_an_address_a_unix_socket_is_an_error(self, throttle):
        trust_proxies(1)
        with pytest.raises(ConfigurationError, match="no address can be read in its x-forwarded-for header"):
            throttle.sync.hit(request(None))

    def test_the_ipv6_prefix_may_be_set_with_them(self, throttle):
        trust_proxies([], ipv6_prefix=48)
        assert keys(throttle, request("2001:db8:1:2::3")) == ["2001:db8:1::/48"]

    def test_they_can_be_removed(self, throttle):
        trust_proxies(["10.0.0.0/8"])
        trust_no_proxies()
        assert current.proxies is None
        for _ in range(50):
            assert keys(throttle, request(x_forwarded_for="192.0.2.1")) == ["10.0.0.1"]

    def test_they_do_not_affect_a_limiter(self, store):
        limiter = Limiter("trust:limiter", "1/min", backend=store)
        trust_proxies(1)
        assert limiter.sync.hit("user:42")

    def test_invalid_ones_change_nothing(self):
        trust_proxies(1)
        with pytest.raises(ConfigurationError):
            trust_proxies(["nowhere"])
        assert current.proxies.trusted == 1


class TestNotices:
    @pytest.mark.parametrize("name", ["x_forwarded_for", "forwarded", "x_real_ip", "cf_connecting_ip"])
    def test_a_header_from_an_untrusted_proxy_is_reported_once(self, throttle, name):
        for _ in range(3):
            throttle.sync.check(request(**{name: "192.0.2.1"}))
        assert said() == [("untrusted-proxy", name.replace("_", "-"))]

    @pytest.mark.parametrize(
        "make",
        [
            identities.address,
            lambda: identities.api_key("x-api-key", {"one"}),
            lambda: identities.exempt("198.51.100.0/24"),
            lambda: identities.deny("198.51.100.0/24", identities.user(lambda _: "ada")),
        ],
        ids=["address", "api_key", "exempt", "deny"],
    )
    def test_an_identifier_that_falls_back_on_the_address_reports_it_too(self, store, make):
        throttle = HTTPThrottle("trust:asked", "1/min", backend=store, identifier=make())
        throttle.sync.check(request(x_forwarded_for="192.0.2.1"))
        assert said() == [("untrusted-proxy", "x-forwarded-for")]

    def test_an_identifier_without_the_address_reports_nothing(self, store):
        known = identities.api_key("x-api-key", {"one"})
        throttle = HTTPThrottle("trust:key", "1/min", backend=store, identifier=known)
        throttle.sync.check(request(x_api_key="one", x_forwarded_for="192.0.2.1"))
        assert said() == []

    def test_only_the_first_addresses_are_checked(self):
        address = identities.address()
        for _ in range(32):
            address(request())
        address(request(x_forwarded_for="192.0.2.1"))
        assert said() == []

    def test_the_32nd_address_is_checked_too(self):
        address = identities.address()
        for _ in range(31):
            address(request())
        address(request(x_forwarded_for="192.0.2.1"))
        assert said() == [("untrusted-proxy", "x-forwarded-for")]

    @pytest.mark.parametrize("trust", [[], ["10.0.0.0/8"]])
    def test_an_address_with_its_own_proxies_reports_nothing(self, trust):
        identities.address(trust)(request(x_forwarded_for="192.0.2.1"))
        assert said() == []

    def test_only_the_first_hits_are_checked(self, throttle):
        for _ in range(32):
            throttle.sync.check(request())
        throttle.sync.decide(request(x_forwarded_for="192.0.2.1"))
        throttle.sync.check(request(x_forwarded_for="192.0.2.1"))
        assert said() == []

    @pytest.mark.parametrize("line", ["192.0.2.1", "198.51.100.7, 192.0.2.1, 127.0.0.1"])
    def test_a_header_that_the_server_trusts_by_default_is_reported(self, throttle, line):
        throttle.sync.check(request("192.0.2.1", x_forwarded_for=line))
        assert said() == [("server-trusts-proxies", "x-forwarded-for")]

    @pytest.mark.parametrize("line", ["192.0.2.1, 10.0.0.1", "192.0.2.1,10.0.0.1"])
    def test_a_header_from_a_proxy_known_to_the_server_is_not_reported(self, throttle, line):
        throttle.sync.check(request("192.0.2.1", x_forwarded_for=line))
        assert said() == []

    def test_a_server_with_an_option_for_trusted_proxies_is_not_reported(self, throttle, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["uvicorn", "--forwarded-allow-ips=127.0.0.1", "app:app"])
        throttle.sync.check(request("192.0.2.1", x_forwarded_for="192.0.2.1"))
        monkeypatch.setattr(sys, "argv", ["uvicorn", "app:app"])
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
        throttle.sync.check(request("192.0.2.1", x_forwarded_for="192.0.2.1"))
        assert said() == []

    @pytest.mark.parametrize("trust", [1, [], ["10.0.0.0/8"]])
    def test_after_proxies_were_set_nothing_is_reported(self, throttle, trust):
        trust_proxies(trust)
        throttle.sync.check(request(x_forwarded_for="192.0.2.1"))
        assert said() == []

    @pytest.mark.parametrize("trust", ["0.0.0.0/0", ["10.0.0.0/8", "::/0"], ["0.0.0.0/1", "128.0.0.0/1"]])
    def test_trust_in_all_addresses_is_reported(self, trust):
        trust_proxies(trust)
        assert said() == [("everything-trusted", "x-forwarded-for")]
