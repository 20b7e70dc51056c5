"""The ready-made identifiers, with a toy framework."""

from __future__ import annotations

import asyncio
import gc
import inspect
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import toy
from traffik import (
    DENIED,
    EXEMPTED,
    NEVER,
    ConfigurationError,
    HTTPThrottle,
    Throttled,
    identities,
    notices,
    trust_proxies,
)
from traffik.identities import address, api_key, bearer, combined, cookie, deny, exempt, first_of, hashed, header, user

PEER = "203.0.113.7"
PARTS = st.lists(st.text(), min_size=1, max_size=4)
SECRET = "of the tests, 16+"


def request(peer=PEER, *headers, **more):
    return toy.Request(peer, headers=[*headers, *((name.replace("_", "-"), value) for name, value in more.items())])


async def wait(awaitable):
    return await awaitable


def answer(identifier, connection):
    """The result of an identifier, called as a throttle calls it."""
    arguments = (connection, {"scope": "a"})
    taken = len(inspect.signature(identifier).parameters)
    found = identifier(*arguments[:taken])
    return asyncio.run(wait(found)) if inspect.isawaitable(found) else found


def later(function):
    """The same function, async."""

    async def wrapped(*arguments):
        await asyncio.sleep(0)  # suspends once, so that the result has to be awaited
        return function(*arguments)

    return wrapped


def constant(part):
    return lambda _: part


either = pytest.mark.parametrize("kind", [lambda function: function, later], ids=["sync", "async"])


class TestAnAddress:
    def test_it_is_the_default_of_a_throttle(self):
        trust_proxies(["10.0.0.0/8"])
        assert answer(address(), request("10.0.0.1", x_forwarded_for="2001:db8::1")) == "2001:db8::/64"

    def test_it_may_have_its_own_proxies(self):
        own = address(["192.0.2.0/24"], header="Forwarded", ipv6_prefix=56)
        trust_proxies(["10.0.0.0/8"])
        assert answer(own, request("192.0.2.1", forwarded='for="[2001:db8:0:1ff::1]"')) == "2001:db8:0:100::/56"
        assert answer(own, request("10.0.0.1", forwarded="for=198.51.100.1")) == "10.0.0.1"

    def test_it_may_trust_no_proxy(self):
        trust_proxies(1)
        assert answer(address([]), request(x_forwarded_for="192.0.2.1")) == PEER

    @pytest.mark.parametrize("options", [{"header": "Forwarded"}, {"ipv6_prefix": 48}])
    def test_options_without_proxies_are_an_error(self, options):
        with pytest.raises(ConfigurationError, match=r"give trusted_proxies"):
            address(**options)

    def test_trusting_all_addresses_is_reported(self):
        address("0.0.0.0/0")
        assert [notice.id for notice in notices.said()] == ["everything-trusted"]


class TestAHeader:
    def test_its_value_is_the_identity(self):
        assert answer(header("X-Tenant"), request(x_tenant="a")) == "header:x-tenant:a"

    @pytest.mark.parametrize("headers", [[], [("x-tenant", "")], [("x-tenant", "a"), ("x-tenant", "b")]])
    def test_unless_it_comes_exactly_once_the_address_is_used(self, headers):
        assert answer(header("X-Tenant"), request(PEER, *headers)) == PEER


class TestAnAPIKey:
    @either
    def test_a_known_key_is_the_identity_and_otherwise_the_address(self, kind):
        known = api_key("X-API-Key", kind(lambda key: key == "k-1"))
        assert answer(known, request(x_api_key="k-1")) == f"key:x-api-key:{identities.digest('k-1')}"
        assert [answer(known, request(x_api_key=key)) for key in ("k-2", "")] == [PEER, PEER]

    def test_known_keys_may_be_in_any_container(self):
        known = api_key("X-API-Key", {"k-1": "ada"})
        assert answer(known, request(x_api_key="k-1")) != answer(known, request(x_api_key="k-2")) == PEER

    def test_an_empty_or_missing_one_is_not_checked(self):
        known = api_key("X-API-Key", lambda _: True)
        assert [answer(known, each) for each in (request(x_api_key=""), request())] == [PEER, PEER]

    def test_the_key_itself_is_not_in_the_store(self):
        assert "k-1" not in answer(api_key("X-API-Key", {"k-1"}), request(x_api_key="k-1"))


class TestABearer:
    @either
    @pytest.mark.parametrize("authorization", ["Bearer t-1", "bearer  t-1 "])
    def test_the_verified_subject_is_the_identity(self, kind, authorization):
        verify = {"t-1": 42}.get
        assert answer(bearer(kind(verify)), request(authorization=authorization)) == "bearer:42"

    @pytest.mark.parametrize("authorization", ["Bearer t-2", "Bearer", "Bearer ", "Basic t-1", "", "t-1"])
    def test_without_a_token_the_address_is_used(self, authorization):
        assert answer(bearer({"t-1": "ada"}.get), request(authorization=authorization)) == PEER

    def test_the_subject_must_be_a_valid_identity(self):
        with pytest.raises(TypeError, match=r"the bearer is text, an integer or a UUID, not 4\.5"):
            answer(bearer(lambda _: 4.5), request(authorization="Bearer t"))


class TestACookie:
    @pytest.mark.parametrize("line", ["sid=s-1", "a=b; sid=s-1; c", 'sid="s-1"', "sid=s-1; sid=s-2", ";;sid=s-1"])
    def test_a_known_cookie_is_the_identity(self, line):
        assert answer(cookie("sid", {"s-1"}), request(cookie=line)) == f"cookie:sid:{identities.digest('s-1')}"

    @pytest.mark.parametrize("line", ["sid=s-2", "sids=s-1", "sid", "sid=", ""])
    def test_an_unknown_cookie_is_replaced_by_the_address(self, line):
        assert answer(cookie("sid", {"s-1"}), request(cookie=line)) == PEER

    @pytest.mark.parametrize("value", ["s=1", "XsX"])
    def test_its_value_may_have_equals_signs_and_letters(self, value):
        found = answer(cookie("sid", {value}), request(cookie=f"sid={value}"))
        assert found == f"cookie:sid:{identities.digest(value)}"

    def test_an_empty_one_is_not_checked(self):
        assert answer(cookie("sid", lambda _: True), request(cookie="sid=")) == PEER


def test_a_digest_does_not_change():
    assert identities.digest("s-1") == "d8f869c69505c294cde2a4fffd0d696e"
    assert identities.digest("\udfff") == "50d225245bff1d4efc4384df0b712e03"


def test_a_shared_quota_is_known_behind_networks():
    assert identities.is_shared(identities.shared)
    assert identities.is_shared(exempt("192.0.2.0/24", identities.shared))
    assert not identities.is_shared(exempt("192.0.2.0/24"))


@pytest.mark.parametrize(
    "around", [first_of, combined, lambda part: hashed(part, SECRET), lambda part: exempt([], part)]
)
def test_an_identifier_may_deny_if_a_part_of_it_does(around):
    assert identities.may_deny(around(deny("192.0.2.0/24")))
    assert not identities.may_deny(around(exempt("192.0.2.0/24")))


class TestAUser:
    @either
    @pytest.mark.parametrize(
        ("who", "expected"),
        [("ada", "user:ada"), (0, "user:0"), (UUID(int=7), f"user:{UUID(int=7)}"), (None, PEER)],
    )
    def test_the_result_of_the_function_is_the_identity(self, kind, who, expected):
        assert answer(user(kind(lambda _: who)), request()) == expected

    def test_the_function_gets_the_connection(self):
        assert answer(user(lambda connection: connection.scope["peer"]), request()) == f"user:{PEER}"


class TestAllTogether:
    def test_each_part_must_be_a_valid_identity(self):
        with pytest.raises(TypeError, match=r"the identifier .*<lambda> is text, an integer or a UUID, not 4\.5"):
            answer(combined(lambda _: 4.5), request())

    @either
    def test_the_parts_are_one_identity(self, kind):
        both = combined(address(), kind(lambda *_: 42), lambda _, context: context["scope"])
        assert answer(both, request()) == "11:203.0.113.72:421:a"

    @given(PARTS, PARTS)
    def test_identities_are_equal_only_if_all_parts_are(self, one, two):
        wholes = [answer(combined(*map(constant, parts)), request()) for parts in (one, two)]
        assert (wholes[0] == wholes[1]) is (one == two)

    @pytest.mark.parametrize("special", [DENIED, EXEMPTED])
    def test_if_one_part_is_exempted_or_denied_so_is_the_client(self, special):
        assert answer(combined(address(), lambda _: special, lambda _: 1 / 0), request()) is special


@pytest.mark.parametrize("make", [combined, first_of])
def test_without_an_identifier_it_is_an_error(make):
    with pytest.raises(TypeError, match=f"{make.__name__} takes identifiers, at least one"):
        make()


class TestTheFirst:
    @either
    def test_the_first_identifier_that_knows_the_client_decides(self, kind):
        known = first_of(api_key("X-API-Key", kind({"k-1"}.__contains__)), user(kind(lambda *_: "ada")))
        assert answer(known, request(x_api_key="k-1")).startswith("key:")
        assert answer(known, request(x_api_key="k-2")) == "user:ada"

    def test_any_function_may_be_used_and_the_address_comes_last(self):
        known = first_of(bearer(lambda _: None), lambda _, context: None if context["scope"] else 5)
        assert answer(known, request(authorization="Bearer t")) == PEER

    def test_it_may_be_nested(self):
        assert answer(first_of(first_of(header("X-A")), header("X-B")), request(x_b="b")) == "header:x-b:b"


class TestAHash:
    @either
    def test_it_does_not_contain_the_identity(self, kind):
        hidden = answer(hashed(kind(lambda *_: "ada@example.org"), SECRET), request())
        assert (len(hidden), int(hidden, 16) > 0) == (40, True)
        assert hidden == answer(hashed(lambda _: "ada@example.org", SECRET.encode()), request())

    def test_its_identifier_may_use_the_context(self):
        hidden = answer(hashed(lambda _, context: context["scope"], SECRET), request())
        assert hidden == answer(hashed(lambda _: "a", SECRET), request())

    def test_its_identity_must_be_valid(self):
        with pytest.raises(TypeError, match=r"the identifier .*<lambda> is text, an integer or a UUID, not 4\.5"):
            answer(hashed(lambda _: 4.5, SECRET), request())

    def test_it_differs_for_another_secret_or_client(self):
        secrets = [SECRET, SECRET + "x", SECRET * 9, SECRET * 9 + "x"]
        hidden = {
            answer(hashed(address(), secret), request(peer)) for secret in secrets for peer in (PEER, "192.0.2.1")
        }
        assert len(hidden) == 8

    @pytest.mark.parametrize("special", [DENIED, EXEMPTED])
    def test_exempted_and_denied_clients_are_not_hashed(self, special):
        assert answer(hashed(lambda _: special, SECRET), request()) is special

    @pytest.mark.parametrize("secret", ["", "15 bytes, no mor", b"short", 16, None])
    def test_a_short_secret_is_an_error(self, secret):
        with pytest.raises(ConfigurationError, match="16 bytes or more"):
            hashed(address(), secret[:15] if isinstance(secret, str) else secret)

    def test_none_is_not_hashed(self, store):
        throttle = HTTPThrottle("identities", "1/min", identifier=hashed(lambda _: None, SECRET), backend=store)
        with pytest.raises(TypeError, match="has returned None"):
            throttle.sync.hit(request())


class TestLists:
    @pytest.mark.parametrize(("listed", "special"), [(exempt, EXEMPTED), (deny, DENIED)])
    def test_they_apply_to_their_addresses_only(self, listed, special):
        identifier = listed(["192.0.2.0/24", "2001:db8::5"], user(lambda _: "ada"))
        peers = ("192.0.2.9", "::ffff:192.0.2.9", "2001:db8::5", "2001:db8::6", PEER)
        assert [answer(identifier, request(peer)) for peer in peers] == [special] * 3 + ["user:ada"] * 2

    def test_they_apply_to_the_client_and_not_to_the_proxy(self):
        trust_proxies(["10.0.0.0/8"])
        forwarded = request("10.0.0.1", x_forwarded_for="192.0.2.1")
        assert answer(deny("192.0.2.0/24"), forwarded) is DENIED
        assert answer(deny("10.0.0.0/8"), forwarded) == "192.0.2.1"
        assert answer(deny("10.0.0.0/8", address([])), forwarded) is DENIED

    def test_they_may_be_read_from_a_file(self, tmp_path):
        file = tmp_path / "deny.txt"
        file.write_text("# noisy\n192.0.2.0/24\n")
        assert answer(deny(identities.read_networks(file)), request("192.0.2.9")) is DENIED
        file.write_text("192.0.2.0/24\n\n192.0.2/24\n")
        with pytest.raises(ConfigurationError, match=r"deny\.txt:3: '192\.0\.2/24' is no network"):
            identities.read_networks(file)

    def test_their_identifier_may_use_the_context(self):
        assert answer(exempt([], lambda _, context: context["scope"]), request()) == "a"

    def test_they_may_be_nested(self):
        identifier = exempt("192.0.2.7", deny("192.0.2.0/24"))
        assert [answer(identifier, request(f"192.0.2.{last}")) for last in (7, 8)] == [EXEMPTED, DENIED]


class TestADeniedClient:
    @pytest.fixture
    def throttle(self, store):
        return HTTPThrottle("identities", "1/min", identifier=deny("192.0.2.0/24"), backend=store)

    def test_it_is_always_refused_and_never_counted(self, throttle, store):
        with pytest.raises(Throttled) as caught:
            throttle.sync.hit(request("192.0.2.1"))
        decision, rejection = caught.value.decision, caught.value.rejection
        assert (decision.retry_after, decision.degraded, store.keys) == (NEVER, "denied", 0)
        assert (rejection.status, rejection.headers, rejection.detail) == (403, (), "This client is not served.")

    def test_it_gets_no_rate_limit_fields(self, throttle):
        assert throttle.sync.stat(request("192.0.2.1")) is None
        assert not throttle.sync.check(request("192.0.2.1"))
        throttle.sync.reset(request("192.0.2.1"))

    @pytest.mark.anyio
    async def test_it_is_refused_in_async_code_and_in_scopes(self, throttle):
        for context in (None, {"scope": "a"}):
            with pytest.raises(Throttled):
                await throttle.hit(request("192.0.2.1"), context=context)


@pytest.mark.parametrize(
    "make",
    [
        lambda known: api_key("X-API-Key", known),
        lambda known: first_of(api_key("X-API-Key", known)),
        lambda known: hashed(combined(address(), deny("10.0.0.0/8", api_key("X-API-Key", known))), SECRET),
    ],
    ids=["by itself", "first", "wrapped"],
)
def test_an_async_function_is_an_error_in_sync_code_and_is_closed(make, store):
    throttle = HTTPThrottle("identities", "1/min", identifier=make(later({"k-1"}.__contains__)), backend=store)
    with pytest.raises(TypeError, match=r"the identifier .* is async, so sync code cannot use it"):
        throttle.sync.hit(request(x_api_key="k-1"))
    gc.collect()  # a coroutine that was not closed would warn


@pytest.mark.parametrize("maker", [identities.address, header, combined])
def test_a_function_that_makes_an_identifier_is_none_itself(maker):
    name = maker.__qualname__
    with pytest.raises(TypeError, match=rf"^{name} makes an identifier .* as in identifier={name}\(...\)$"):
        combined(maker)


def test_a_function_of_a_user_may_have_any_name():
    def address(_):
        return "a"

    address.__qualname__ = "address"
    assert answer(combined(address), request()) == "1:a"


def test_shared_is_one_identity_for_all_clients():
    assert answer(identities.shared, request()) == answer(identities.shared, request("192.0.2.1")) == "shared"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (address, "address()"),
        (lambda: address([]), "address(…)"),
        (lambda: api_key("X-API-Key", {"k-1"}), "api_key('X-API-Key')"),
        (lambda: cookie("sid", {"s-1"}), "cookie('sid')"),
        (lambda: header("X-Tenant"), "header('X-Tenant')"),
        (lambda: bearer(lambda _: None), "bearer(…)"),
        (lambda: user(lambda _: None), "user(…)"),
        (lambda: first_of(header("X-Tenant")), "first_of(…)"),
    ],
)
def test_the_repr_of_an_identifier_shows_no_secret(make, name):
    assert repr(make()) == name


class TestInvalidArguments:
    @pytest.mark.parametrize("make", [api_key, cookie])
    @pytest.mark.parametrize(
        ("known", "words"),
        [("abc", r"not one text: give \{'abc'\}"), (5, "such as .* or a function, not 5"), (None, "not None")],
    )
    def test_text_as_known_values_is_an_error(self, make, known, words):
        with pytest.raises(TypeError, match=words):
            make("x-api-key", known)

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: header("X Tenant"), "a header has a name, such as 'X-API-Key', not 'X Tenant'"),
            (lambda: cookie("", {"s-1"}), "a cookie has a name, such as 'session', not ''"),
            (lambda: bearer(5), r"^the subject of a bearer token 5 cannot be called with \(token\)"),
            (lambda: user(5), r"^the user 5 cannot be called with \(connection\)"),
            (lambda: hashed(5, SECRET), r"^the identifier 5 cannot be called with \(connection, context\)"),
        ],
    )
    def test_a_missing_name_or_function_is_an_error(self, make, words):
        with pytest.raises(TypeError, match=words):
            make()
