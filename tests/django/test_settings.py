"""`settings.TRAFFIK`: the objects it makes, its checks, and overrides in tests."""

import asyncio

import pytest
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path

from traffik import (
    HTTPThrottle,
    ResponseOptions,
    Rule,
    TokenBucket,
    set_default_responses,
    trust_no_proxies,
    trust_proxies,
)
from traffik.backends import binding
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.redis import RedisBackend
from traffik.identities import combined, exempt, hashed
from traffik_django import ThrottleMiddleware, conf, throttled, throttles
from traffik_django import checks as our_checks

LINE = "traffik_django.middleware.ThrottleMiddleware"
REDIS_CACHE = {"BACKEND": "django.core.cache.backends.redis.RedisCache"}


def found(configured, **settings):
    """Run the checks; the ids of their messages."""
    configured(MIDDLEWARE=[LINE], **settings)
    return [message.id for message in checks.run_checks(tags=["traffik"])]


def told(configured, traffik):
    (message,) = found(configured, TRAFFIK=traffik) and checks.run_checks(tags=["traffik"])
    return f"{message.msg} {message.hint}"


def keys_of(throttle):
    """The keys that a throttle counts in, for a call without a context and one with a context."""
    return [throttle.sync.stat(get(), context).key for context in (None, {"tenant": "u"})]


def get(address="203.0.113.7"):
    return RequestFactory().get("/", REMOTE_ADDR=address)


class TestThrottles:
    def test_they_have_names(self, configured):
        configured(TRAFFIK={"THROTTLES": {"login": "5/min", "api": {"rate": ["10/s", "1000/hour"], "cost": 2}}})
        assert sorted(throttles) == ["api", "login"]
        assert (throttles["login"].uid, throttles["api"].cost, len(throttles)) == ("login", 2, 2)

    def test_they_have_the_options_of_a_throttle(self, configured):
        options = {"rate": "5/min", "identifier": "user", "strategy": TokenBucket(burst=9), "shadow": True}
        configured(TRAFFIK={"THROTTLES": {"login": options, "other": {**options, "strategy": "traffik.GCRA"}}})
        assert throttles["login"].strategy == TokenBucket(burst=9)
        assert throttles["login"].shadow is not None

    def test_they_may_be_objects(self, configured, uid):
        throttle = HTTPThrottle(uid, "5/min")
        configured(TRAFFIK={"THROTTLES": {"login": throttle}})
        assert throttles["login"] is throttle

    def test_an_unknown_name_is_an_error_that_shows_it(self, configured):
        configured(TRAFFIK={"THROTTLES": {"login": "5/min"}})
        with pytest.raises(KeyError, match="no throttle 'logout'; there are: login"):
            throttles["logout"]

    def test_a_decorator_looks_them_up_at_each_request(self, configured):
        view = throttled("login")(lambda request: HttpResponse())
        for limit in (1, 2):
            configured(TRAFFIK={"THROTTLES": {"login": f"{limit}/min"}})
            assert [view(get()).status_code for _ in range(3)].count(200) == limit

    @pytest.mark.parametrize(
        "rules",
        [
            [Rule("/free", when=callable, bypass=True)],
            Rule("/free", when=callable, bypass=True),
            {"path": "/free", "when": "builtins.callable", "bypass": True},
            ({"path": "/free", "bypass": True, "when": callable},),
        ],
    )
    def test_they_have_rules(self, rules, configured):
        configured(TRAFFIK={"THROTTLES": {"login": {"rate": "5/min", "rules": rules}}})
        assert throttles["login"].rules.rules == (Rule("/free", when=callable, bypass=True),)

    def test_they_use_the_store_of_the_project_if_others_are_open(self, configured):
        configured(TRAFFIK={"THROTTLES": {"login": "5/min"}})
        with InMemoryBackend() as other:
            throttles["login"].sync.hit(get())
            HTTPThrottle("in code", "5/min").sync.hit(get())
            assert (conf.current().store.keys, other.keys) == (2, 0)


class TestStore:
    def test_without_settings_it_is_in_memory(self, configured, settings_without_traffik):
        assert isinstance(conf.current().store, InMemoryBackend)

    def test_it_is_open_from_the_start(self, configured):
        configured(TRAFFIK={})
        assert binding.open_one() is conf.current().store

    def test_it_may_be_none(self, configured):
        configured(TRAFFIK={"STORE": None})
        assert conf.current().store is None

    def test_it_may_be_an_object(self, configured):
        store = InMemoryBackend()
        configured(TRAFFIK={"STORE": store})
        assert conf.current().store is store

    def test_it_may_be_a_url(self, configured):
        configured(TRAFFIK={"STORE": "redis://cache.example:6380/2"})
        assert "cache.example:6380" in repr(conf.current().store)

    @pytest.mark.parametrize("location", ["redis://one.example:6380", ["redis://one.example:6380", "redis://two"]])
    def test_it_may_be_the_redis_of_a_cache(self, configured, location):
        cache = {**REDIS_CACHE, "LOCATION": location, "OPTIONS": {"db": 3, "password": "secret"}}
        options = {"on_error": "throttle", "namespace": "shop"}
        configured(CACHES={"default": cache}, TRAFFIK={"STORE": {"CACHE": "default", "OPTIONS": options}})
        store = conf.current().store
        assert isinstance(store, RedisBackend)
        assert (store.namespace, "one.example:6380" in repr(store)) == ("shop", True)
        assert (store.settings.login.database, store.settings.login.password) == (3, "secret")

    def test_for_a_cache_in_memory_it_is_in_memory(self, configured):
        configured(TRAFFIK={"STORE": {"CACHE": "default", "OPTIONS": {"max_keys": 5}}})
        assert conf.current().store.max_keys == 5

    def test_each_override_of_the_settings_makes_a_new_one(self, configured):
        configured(TRAFFIK={"THROTTLES": {"login": "1/min"}})
        throttles["login"].sync.hit(get())
        configured(TRAFFIK={"THROTTLES": {"login": "1/min"}})
        throttles["login"].sync.hit(get())


class TestResponseOptions:
    def test_they_apply_to_every_throttle_without_its_own(self, configured, uid):
        given = {"fields": ["x-ratelimit", f"{__name__}.write"], "jitter": 5}
        own = {"rate": "5/min", "responses": {"fields": ()}}
        configured(TRAFFIK={"RESPONSES": given, "THROTTLES": {"login": "5/min", "api": own}})
        expected = ResponseOptions(fields=("x-ratelimit", write), jitter=5)
        in_code = HTTPThrottle(uid, "5/min")
        assert (throttles["login"].responses, in_code.responses) == (expected, expected)
        assert throttles["api"].responses == ResponseOptions(fields=())
        configured(TRAFFIK={})
        assert in_code.responses == ResponseOptions()

    def test_it_may_be_an_object(self, configured):
        responses = ResponseOptions(fields="draft-06")
        configured(TRAFFIK={"RESPONSES": responses, "THROTTLES": {"login": "5/min"}})
        assert throttles["login"].responses is responses

    def test_without_a_setting_those_set_in_code_are_kept(self, configured):
        responses = ResponseOptions(fields="draft-06")
        set_default_responses(responses)
        try:
            configured(TRAFFIK={"THROTTLES": {"login": "5/min"}})
            assert throttles["login"].responses is responses
        finally:
            set_default_responses(None)


class TestTheChecks:
    def test_they_find_nothing_in_correct_settings(self, configured):
        assert found(configured, TRAFFIK={"THROTTLES": {"a": "5/s"}, "URLS": {"*": "a"}, "IDENTIFIER": "ip"}) == []

    @pytest.mark.parametrize(
        ("given", "number"),
        [
            ("5/min", 2),
            ({"THROTLES": {}}, 2),
            ({"HEADERS": "no"}, 2),
            ({"HEADERS": None}, 2),
            ({"STORE": 5}, 3),
            ({"STORE": {"BACKEND": 5}}, 3),
            ({"STORE": {"OPTIONS": 5}}, 3),
            ({"STORE": {"CACHE": ["default"]}}, 3),
            ({"STORE": "mysql://here"}, 3),
            ({"STORE": {"BACKEND": "no.such.Store"}}, 3),
            ({"STORE": {"BACKEND": "builtins.dict"}}, 3),
            ({"STORE": {"CACHE": "nowhere"}}, 3),
            ({"STORE": {"WHERE": "here"}}, 3),
            ({"STORE": {"OPTIONS": {"max_keys": 0}}}, 3),
            ({"IDENTIFIER": "somebody"}, 4),
            ({"THROTTLES": {"a": {"rate": "5/s", "rules": 5}}}, 5),
            ({"THROTTLES": {"a": {"rate": "5/s", "rules": ["/a"]}}}, 5),
            ({"THROTTLES": {"a": {"rate": "5/s", "rules": {"path": "a"}}}}, 5),
            ({"THROTTLES": {"a": {"rate": "5/s", "rules": {"pth": "/a"}}}}, 5),
            ({"THROTTLES": {"a": {"rate": "5/s", "rules": {"when": "no.such.function"}}}}, 5),
            ({"IDENTIFIER": 5}, 4),
            ({"IDENTIFIER": "no.such.function"}, 4),
            ({"IDENTIFIER": lambda request, context, more: "a"}, 4),
            ({"THROTTLES": ["5/min"]}, 5),
            ({"THROTTLES": {"5/min": "5/min"}}, 5),
            ({"THROTTLES": {"login": "5 a day"}}, 5),
            ({"THROTTLES": {"login": {}}}, 5),
            ({"THROTTLES": {"login": {"rate": "5/s", "costs": 1}}}, 5),
            ({"URLS": ["login"]}, 6),
            ({"URLS": {"*": "login"}}, 6),
            ({"URLS": {"*": 5}}, 6),
            ({"URLS": {"*": [["x"]]}}, 6),
            ({"URLS": {"*": {"x": "y"}}}, 6),
            ({"URLS": {5: ()}}, 6),
            ({"TRUSTED_PROXIES": "everybody"}, 9),
            ({"TRUSTED_PROXIES": 0}, 9),
            ({"TRUSTED_PROXIES": None}, 9),
            ({"TRUSTED_PROXIES": 1, "PROXY_HEADER": "X Forwarded For"}, 9),
            ({"IPV6_PREFIX": 32}, 9),
            ({"RESPONSES": "draft-11"}, 10),
            ({"RESPONSES": {"field": "draft-11"}}, 10),
            ({"RESPONSES": {"fields": ["draft-12"]}}, 10),
            ({"RESPONSES": {"fields": ["no.such.writer"]}}, 10),
            ({"RESPONSES": {"jitter": "much"}}, 10),
            ({"THROTTLES": {"login": {"rate": "5/s", "responses": {"unit": "MiB"}}}}, 5),
        ],
        ids=lambda part: str(part).partition(" at 0x")[0],
    )
    def test_they_find_mistakes(self, configured, given, number):
        assert found(configured, TRAFFIK=given) == [f"traffik.E{number:03}"]
        with pytest.raises(ImproperlyConfigured):
            conf.current()

    @pytest.mark.parametrize("identifier", [lambda: "a", "builtins.callable", lambda request, context: "a"])
    def test_they_accept_identifiers_with_fewer_parameters(self, configured, identifier):
        assert found(configured, TRAFFIK={"IDENTIFIER": identifier}) == []

    def test_they_find_all_mistakes_at_once(self, configured):
        wrong = {"STORE": 5, "THROTTLES": {"a": 5}, "URLS": {"*": "b"}, "Store": 5}
        assert found(configured, TRAFFIK=wrong) == [f"traffik.E00{number}" for number in (2, 3, 5, 6)]

    def test_they_say_how_to_fix_a_mistake(self, configured):
        assert "Did you mean 'THROTTLES'?" in told(configured, {"THROTLES": {}})
        assert "Did you mean 'fields'?" in told(configured, {"RESPONSES": {"field": "draft-11"}})
        assert "Did you mean 'rate'?" in told(configured, {"THROTTLES": {"a": {"rates": "5/s"}}})
        assert "Did you mean 'login'?" in told(configured, {"THROTTLES": {"login": "5/s"}, "URLS": {"*": "logn"}})
        assert "5 a day" in told(configured, {"THROTTLES": {"login": "5 a day"}})
        assert "Did you mean 'STORE'?" in told(configured, {"store": {}})
        assert "Give the rate a name in THROTTLES" in told(configured, {"URLS": {"*": "5/min"}})
        gcra = {"login": {"rate": "5/min", "strategy": "GCRA"}}
        assert "such as 'traffik.GCRA'" in told(configured, {"THROTTLES": gcra, "URLS": {"*": "login"}})

    def test_they_require_a_cache_that_can_count(self, configured):
        cache = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        configured(CACHES=cache)
        assert "DummyCache, which cannot count" in told(configured, {"STORE": {"CACHE": "default"}})

    def test_they_require_the_middleware(self, configured):
        configured(MIDDLEWARE=["django.middleware.common.CommonMiddleware", "no.such.Middleware"], TRAFFIK={})
        (message,) = checks.run_checks(tags=["traffik"])
        assert (message.id, LINE in message.hint, "status 500" in message.msg) == ("traffik.E001", True, True)

    def test_they_accept_a_subclass_of_the_middleware(self, configured):
        configured(MIDDLEWARE=[f"{__name__}.Ours"], TRAFFIK={})
        assert our_checks.check_middleware() == []

    def test_they_require_the_throttles_that_decorators_name(self, configured):
        throttled("exports")(lambda request: None)
        assert found(configured, TRAFFIK={}) == ["traffik.E007"]
        assert found(configured, TRAFFIK={"THROTTLES": {"exports": "1/min"}}) == []

    @pytest.mark.parametrize("given", [{"rate": "5/s", "identifier": "user"}, {"rate": "5/s"}], ids=["own", "default"])
    def test_they_require_the_middleware_for_users_before_ours(self, configured, given):
        auth = "django.contrib.auth.middleware.AuthenticationMiddleware"
        configured(TRAFFIK={"IDENTIFIER": "user", "THROTTLES": {"a": given}, "URLS": {"*": "a", "b:*": "a"}})
        for middleware, expected in [([LINE, auth], ["traffik.E008"]), ([auth, LINE], [])]:
            configured(MIDDLEWARE=middleware)
            assert [message.id for message in our_checks.check_order()] == expected

    def test_they_require_one_definition_of_a_uid(self, configured):
        one, two = [HTTPThrottle("twice", rate) for rate in ("1/min", "2/min")]
        configured(MIDDLEWARE=[LINE], TRAFFIK={})
        (message,) = checks.run_checks(tags=["traffik"])
        assert (message.id, "test_settings.py" in message.msg) == ("traffik.E012", True)
        del one, two
        assert checks.run_checks(tags=["traffik"]) == []

    def test_they_require_a_cache_that_exists(self, configured):
        configured(CACHES={"default": {"BACKEND": "no.such.Cache"}})
        assert found(configured, TRAFFIK={"STORE": {"CACHE": "default"}}) == ["traffik.E003"]

    def test_those_for_deployment_require_a_shared_store(self, configured):
        configured(MIDDLEWARE=[LINE], TRAFFIK={})
        (message,) = checks.run_checks(tags=["traffik"], include_deployment_checks=True)
        assert (message.id, "RedisCache" in message.hint) == ("traffik.W001", True)
        configured(TRAFFIK={"STORE": "redis://localhost"})
        assert checks.run_checks(tags=["traffik"], include_deployment_checks=True) == []


def test_a_wrong_setting_is_an_error_at_the_first_request(client, serve_urls):
    serve_urls(path("", lambda request: HttpResponse()), TRAFFIK={"THROTTLES": {"a": "often"}})
    with pytest.raises(ImproperlyConfigured, match="often"):
        client.get("/")


class TestTheDefaultIdentity:
    def test_it_applies_to_every_throttle_without_an_identifier(self, configured):
        from traffik_django import HTTPThrottle

        throttle = HTTPThrottle("by default", "1/min", backend=InMemoryBackend())
        configured(TRAFFIK={"IDENTIFIER": lambda request: "everybody", "THROTTLES": {"a": "1/min"}})
        for each in (throttle, throttles["a"]):
            each.sync.hit(get("203.0.113.1"))
            assert not each.sync.check(get("203.0.113.2"))
        configured(TRAFFIK={})
        assert throttle.sync.check(get("203.0.113.2"))

    @pytest.mark.parametrize(
        "identifier",
        [
            lambda request, context: f"{context.get('tenant')}",
            combined(lambda request, context: f"{context.get('tenant')}", lambda: "a"),
            exempt("192.0.2.0/24", lambda request, context: f"{context.get('tenant')}"),
            hashed(lambda request, context: f"{context.get('tenant')}", "of the tests, long enough"),
        ],
    )
    def test_it_gets_the_context_as_an_identifier_does(self, configured, identifier):
        def who(request, context):
            return identifier(request, context)

        own = {"rate": "1/min", "context": {"tenant": "t"}}
        configured(TRAFFIK={"IDENTIFIER": who, "THROTTLES": {"a": "1/min", "b": own}})
        left = {name: keys_of(throttles[name]) for name in "ab"}
        given = {"rate": "1/min", "identifier": who}
        configured(TRAFFIK={"THROTTLES": {"a": given, "b": {**given, **own}}})
        assert left == {name: keys_of(throttles[name]) for name in "ab"}
        assert len(set(left["a"])) == 2

    def test_it_gets_the_context_in_async_code(self, configured):
        async def who(request, context):
            return context["tenant"]

        configured(TRAFFIK={"IDENTIFIER": who, "THROTTLES": {"a": {"rate": "1/min", "context": {"tenant": "t"}}}})
        asyncio.run(throttles["a"].hit(get()))
        assert not asyncio.run(throttles["a"].check(get("203.0.113.2"), context={"tenant": "t"}))
        assert asyncio.run(throttles["a"].check(get(), context={"tenant": "u"}))

    def test_it_does_not_apply_to_a_throttle_with_an_identifier(self, configured):
        given = {"rate": "1/min", "identifier": "ip"}
        configured(TRAFFIK={"IDENTIFIER": lambda request, context: "all", "THROTTLES": {"a": given}})
        assert keys_of(throttles["a"])[0].endswith("{203.0.113.7}")

    def test_it_applies_to_async_hits(self, configured):
        configured(TRAFFIK={"IDENTIFIER": lambda request: "everybody", "THROTTLES": {"a": "1/min"}})
        asyncio.run(throttles["a"].hit(get("203.0.113.1")))
        assert not asyncio.run(throttles["a"].check(get("203.0.113.2")))


class TestTrustedProxies:
    @pytest.fixture
    def counted_in(self):
        """The keys of a request through a proxy, for a throttle in code and one in the settings."""

        def keys():
            request = RequestFactory().get(
                "/",
                REMOTE_ADDR="10.0.0.1",
                headers={"X-Forwarded-For": "192.0.2.1", "Forwarded": 'for="[2001:db8::1]"'},
            )
            given = HTTPThrottle("trusting", "1/min", backend=InMemoryBackend())
            stats = [each.sync.stat(request) for each in (given, throttles["a"])]
            return {stat.key.partition("{")[2][:-1] for stat in stats}

        return keys

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({}, "10.0.0.1"),
            ({"TRUSTED_PROXIES": ["10.0.0.0/8"]}, "192.0.2.1"),
            ({"TRUSTED_PROXIES": 1}, "192.0.2.1"),
            ({"TRUSTED_PROXIES": "10.0.0.1", "PROXY_HEADER": "Forwarded"}, "2001:db8::/64"),
            ({"TRUSTED_PROXIES": 1, "PROXY_HEADER": "Forwarded", "IPV6_PREFIX": 48}, "2001:db8::/48"),
            ({"TRUSTED_PROXIES": 1, "IDENTIFIER": "ip"}, "192.0.2.1"),
        ],
        ids=lambda part: str(part).partition(" at 0x")[0],
    )
    def test_they_are_those_of_the_current_settings(self, configured, counted_in, given, expected):
        with override_settings(TRAFFIK={**given, "THROTTLES": {"a": "1/min"}}):
            assert counted_in() == {expected}
        configured(TRAFFIK={"THROTTLES": {"a": "1/min"}})
        assert counted_in() == {"10.0.0.1"}

    def test_without_a_setting_those_set_in_code_are_kept(self, configured, counted_in):
        trust_proxies(1)
        try:
            configured(TRAFFIK={"THROTTLES": {"a": "1/min"}})
            assert counted_in() == {"192.0.2.1"}
        finally:
            trust_no_proxies()


@pytest.fixture
def settings_without_traffik(configured):
    from django.conf import settings

    configured(TRAFFIK={})
    del settings.TRAFFIK
    conf.changed(setting="TRAFFIK")
    return settings


class Ours(ThrottleMiddleware):
    """A project's middleware."""


def write(policies, decision):
    """Writes a project's header fields."""
    return []
