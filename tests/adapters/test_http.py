"""The promises of a throttle for HTTP requests, in every framework."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.adapters.services import Call, Service, problem
from traffik import EXEMPTED, HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend

DETAIL = "Too many requests. Retry in 60 seconds."


@pytest.fixture
def one(uid):
    """A throttle of one hit a minute."""
    return HTTPThrottle(uid, "1/min")


def statuses(client, *paths, **options):
    return [client.get(path, **options).status_code for path in paths]


class TestAHit:
    @pytest.mark.parametrize("what", ["hit", "call"])
    def test_it_returns_the_very_same_connection(self, served, one, what):
        assert served(Call(what, one)).get("/").json() == ["the connection"]

    def test_hits_are_admitted_up_to_the_limit(self, served, uid):
        client = served(Call("hit", HTTPThrottle(uid, "3/min")))
        assert statuses(client, *["/"] * 5) == [200, 200, 200, 429, 429]

    def test_it_consumes_its_cost_or_nothing(self, served, uid):
        throttle = HTTPThrottle(uid, "5/min")
        client = served(Call("attempt", throttle, 6), Call("attempt", throttle, 4), Call("attempt", throttle, 2))
        assert client.get("/").json() == [False, "the connection", False]
        assert client.get("/").headers["RateLimit"].startswith(f'"{uid}";r=1;')

    def test_a_cost_of_zero_changes_nothing(self, served, store, one):
        answer = served(Call("hit", one, 0)).get("/")
        assert (answer.json(), store.keys, "RateLimit" in answer.headers) == (["the connection"], 0, False)

    def test_it_has_the_cost_of_its_throttle(self, served, uid):
        throttle = HTTPThrottle(uid, "5/min", cost=lambda _, context: context["units"])
        assert statuses(served(Call("hit", throttle, context={"units": 3})), "/", "/") == [200, 429]

    def test_it_counts_by_peer_address_and_reads_no_header(self, served, uid, one):
        client = served(Call("hit", one), Call("stat", one))
        forged = [{"X-Forwarded-For": "192.0.2.1"}, {"Forwarded": "for=192.0.2.2"}]
        assert client.get("/").json()[1]["key"] == f"traffik:{uid}:{{127.0.0.1}}"
        assert [client.get("/", headers=headers).status_code for headers in forged] == [429, 429]


class TestARefusal:
    def test_it_has_a_status_a_body_and_headers(self, framework, served, uid, one):
        client = served(Call("hit", one))
        refused = [client.get("/") for _ in range(2)][1]
        assert (refused.status_code, refused.content) == (429, framework.body(DETAIL, uid))
        assert {name: refused.headers.get_list(name) for name in ("Retry-After", "RateLimit-Policy", "RateLimit")} == {
            "Retry-After": ["60"],
            "RateLimit-Policy": [f'"{uid}";q=1;w=60'],
            "RateLimit": [f'"{uid}";r=0;t=60'],
        }

    def test_it_lists_every_policy_and_the_quota_of_the_binding_one(self, served, uid):
        client = served(Call("hit", HTTPThrottle(uid, "5/s; 1/min")))
        refused = [client.get("/") for _ in range(2)][1]
        assert refused.headers["RateLimit-Policy"] == f'"{uid}.1";q=5;w=1, "{uid}.2";q=1;w=60'
        assert refused.headers["RateLimit"] == f'"{uid}.2";r=0;t=60'

    def test_its_wait_is_exact(self, served, clock, one):
        client = served(Call("hit", one))
        refused = [client.get("/") for _ in range(2)][1]
        clock.advance(seconds=int(refused.headers["Retry-After"]), microseconds=-1)
        assert client.get("/").status_code == 429
        clock.advance(microseconds=1)
        assert client.get("/").status_code == 200

    def test_a_cost_above_the_capacity_has_no_wait(self, framework, served, uid, one):
        refused = served(Call("hit", one, 2)).get("/")
        assert (refused.status_code, "Retry-After" in refused.headers) == (429, False)
        detail = "Too many requests. This one costs more than the limit of 1 can ever admit."
        assert refused.content == framework.body(detail, uid)

    def test_a_function_may_answer_it(self, served, uid):
        seen = []
        throttle = HTTPThrottle(uid, "0/min", handle_throttled=lambda _, decision: seen.append(decision.allowed))
        assert served(Call("hit", throttle), Call("is_throttled")).get("/").json() == ["the connection", True]
        assert seen == [False]


class TestHeaders:
    def test_admitted_requests_have_those_of_every_throttle(self, served, uid):
        one, two = HTTPThrottle(f"{uid}-1", "5/min"), HTTPThrottle(f"{uid}-2", "3/min")
        answer = served(Call("hit", one), Call("hit", two)).get("/")
        listed = [answer.headers.get_list(name, split_commas=True) for name in ("RateLimit-Policy", "RateLimit")]
        assert listed[0] == [f'"{uid}-1";q=5;w=60', f'"{uid}-2";q=3;w=60']
        assert listed[1] == [f'"{uid}-1";r=4;t=60', f'"{uid}-2";r=2;t=60']

    def test_requests_without_a_route_have_them(self, served, uid):
        answer = served(guards=[HTTPThrottle(uid, "5/min")]).get("/nowhere")
        assert (answer.status_code, answer.headers["RateLimit"]) == (404, f'"{uid}";r=4;t=60')


class TestAThrottleOfAMiddleware:
    def test_it_refuses_with_the_same_body_and_headers(self, served, uid, one):
        client = served(guards=[one])
        admitted, refused = [client.get("/") for _ in range(2)]
        assert (admitted.status_code, refused.status_code) == (200, 429)
        assert (refused.content, refused.headers["Retry-After"]) == (problem(DETAIL, uid), "60")
        assert refused.headers.get_list("RateLimit") == [f'"{uid}";r=0;t=60']

    def test_an_endpoint_sees_its_hit_as_the_latest(self, served, uid):
        throttle = HTTPThrottle(uid, "0/min", handle_throttled=lambda: None)
        assert served(Call("is_throttled", throttle), guards=[throttle]).get("/").json() == [True]


class TestCheckAndStat:
    def test_they_consume_nothing(self, served, store, uid):
        throttle = HTTPThrottle(uid, "5/min")
        client = served(Call("check", throttle, 5), Call("check", throttle, 6), Call("stat", throttle))
        for _ in range(2):
            *checks, stat = client.get("/").json()
            assert (checks, stat["hits_remaining"], stat["wait_ms"]) == ([True, False], 5, 0)
        assert store.keys == 0

    def test_they_return_the_quota_left_and_the_wait(self, served, one):
        stat = served(Call("hit", one), Call("stat", one)).get("/").json()[1]
        assert (stat["hits_remaining"], stat["wait_ms"]) == (0, 60_000)


class TestContext:
    def test_each_scope_has_its_own_quota(self, served, one):
        client = served(*(Call("attempt", one, context={"scope": scope}) for scope in ("red", "blue", "red")))
        assert client.get("/").json() == ["the connection", "the connection", False]

    def test_that_of_the_call_takes_precedence_over_that_of_the_throttle(self, served, uid):
        throttle = HTTPThrottle(uid, "1/min", context={"scope": "all"})
        client = served(*(Call("attempt", throttle, context=each) for each in (None, {"scope": "me"}, None)))
        assert client.get("/").json() == ["the connection", "the connection", False]

    def test_identifier_and_rate_get_it(self, served, uid):
        throttle = HTTPThrottle(uid, lambda _, context: context["rate"], identifier=lambda _, context: context["user"])
        users = [{"user": user, "rate": "1/min"} for user in ("ada", "bob", "ada")]
        client = served(*(Call("attempt", throttle, context=user) for user in users))
        assert client.get("/").json() == ["the connection", "the connection", False]

    def test_it_may_exempt_a_client(self, served, store, uid):
        throttle = HTTPThrottle(uid, "0/min", identifier=lambda _: EXEMPTED)
        client = served(Call("hit", throttle), Call("is_throttled"), Call("stat", throttle))
        assert (client.get("/").json(), store.keys) == (["the connection", False, None], 0)


class TestIsThrottled:
    def test_without_a_throttle_it_is_about_the_latest_hit(self, served, one):
        asked = Call("is_throttled")
        hits = [asked, Call("hit", one), asked, Call("attempt", one), asked, Call("hit", one, 0), asked]
        assert served(*hits).get("/").json()[::2] == [False, False, True, False]

    def test_with_a_throttle_it_is_about_that_one(self, served, uid, one):
        other = HTTPThrottle(f"{uid}-2", "5/min")
        hits = [Call("attempt", one, 2), Call("hit", other)]
        asked = [Call("is_throttled", one), Call("is_throttled", other), Call("is_throttled")]
        assert served(*hits, *asked).get("/").json()[2:] == [True, False, False]

    def test_get_wait_returns_the_wait_of_the_latest_hit(self, served, one):
        calls = [Call("hit", one), Call("get_wait"), Call("attempt", one), Call("get_wait")]
        assert served(*calls).get("/").json()[1::2] == [0, 60_000]

    def test_the_next_request_begins_without_a_decision(self, served, one):
        client = served(Call("is_throttled"), Call("attempt", one))
        assert [client.get("/").json()[0] for _ in range(3)] == [False] * 3


def test_a_throttle_can_be_disabled_and_enabled_again(served, one):
    client = served(Call("hit", one))
    first = statuses(client, "/", "/")
    one.disable()
    second = statuses(client, "/", "/")
    one.enable()
    assert [first, second, statuses(client, "/")] == [[200, 429], [200, 200], [429]]


def test_a_mounted_application_uses_the_store_of_the_outer(serve, store, one):
    calls = [Call("hit", one)]
    with InMemoryBackend(namespace="other") as other:
        client = serve(Service(store, {"/": calls}, mounted={"/": calls}))
        assert statuses(client, "/in/", "/in/", "/") == [200, 429, 429]
        assert (store.keys, other.keys) == (1, 0)


def test_clients_at_the_same_time_get_exactly_the_limit(served, uid):
    client = served(Call("hit", HTTPThrottle(uid, "7/min")))
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: client.get("/").status_code, range(24)))
    assert sorted(answers) == [200] * 7 + [429] * 17
