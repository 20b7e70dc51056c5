"""Rules, and one count for each request, in every framework."""

import pytest

from tests.adapters.services import Call
from traffik import HTTPThrottle, Rule, group
from traffik.limits import groups as registry
from traffik.limits import uids


@pytest.fixture
def shut(uid):
    """Makes a throttle that refuses every request that its rules match."""
    return lambda *rules: HTTPThrottle(uid, "0/min", rules=rules)


@pytest.fixture
def groups(monkeypatch):
    """Groups without the limits of other tests."""
    monkeypatch.setattr(uids, "_claimed", {})
    yield
    registry.forget_groups()


def refused(client, *paths, method="GET"):
    """The paths that are throttled, of those given."""
    return [path for path in paths if client.request(method, path).status_code == 429]


class TestRules:
    def test_they_match_the_method_and_the_whole_path(self, served, shut):
        throttle = shut(Rule("/in/**", methods=["GET"]), Rule("/in/free", bypass=True))
        client = served(guards=[throttle], mounted={"/a": (), "/free": ()})
        asked = ["/", "/in/a", "/in/free", "/in/nowhere", "/nowhere"]
        assert refused(client, *asked) == ["/in/a", "/in/nowhere"]
        assert refused(client, *asked, method="HEAD") == ["/in/a", "/in/nowhere"]
        assert refused(client, *asked, method="POST") == []

    def test_a_hit_in_a_mounted_application_matches_the_whole_path_too(self, served, shut):
        throttle = shut(Rule("/in/a"))
        client = served(Call("hit", throttle), mounted={"/a": [Call("hit", throttle)], "/b": [Call("hit", throttle)]})
        assert refused(client, "/", "/in/a", "/in/b") == ["/in/a"]

    def test_other_requests_are_not_counted(self, served, store, uid):
        throttle = HTTPThrottle(uid, "1/min", rules=[Rule("/", bypass=True)])
        client = served(Call("is_throttled", throttle), guards=[throttle])
        answers = [client.get("/") for _ in range(3)]
        assert [answer.json() for answer in answers] == [[False]] * 3
        assert (store.keys, "RateLimit" in answers[0].headers) == (0, False)

    def test_another_spelling_of_a_path_does_not_escape_them(self, served, shut):
        client = served(guards=[shut(Rule("/in/a"))], mounted={"/a": ()})
        spelled = ["/in/a", "/in//a", "/in/a/", "/in/%61", "/in/a?b=/c", "/in/%2E/a", "/x/%2e%2E/in/a"]
        spelled += ["/in/a%0A", "/in%2Fa", "/in%5Ca", "/in/..%2Fstatic/a"]
        assert refused(client, *spelled) == spelled

    def test_they_match_the_route_found_by_the_framework(self, framework, served, shut):
        rule = Rule(route=framework.template("/in/a"))
        client = served(guards=[shut(rule)], mounted={"/a": (), "/b": ()})
        if not framework.routes:
            assert client.get("/in/b").status_code == 500
            return
        assert refused(client, "/in/a", "/in/b", "/in/nowhere", "/nowhere") == ["/in/a"]

    def test_a_hit_in_an_endpoint_matches_the_route_too(self, framework, served, shut):
        hit = [Call("hit", shut(Rule(route=framework.template("/in/a"))))]
        client = served(*hit, mounted={"/a": hit, "/b": hit})
        if not framework.routes:
            assert client.get("/in/b").status_code == 500
            return
        assert refused(client, "/", "/in/a", "/in/b") == ["/in/a"]

    def test_a_bypass_does_not_match_another_spelling(self, served, shut):
        client = served(guards=[shut(Rule("/health/**", bypass=True))])
        assert refused(client, "/health/x", "/health/%2E%2E/", "/health/../") == ["/health/%2E%2E/", "/health/../"]

    def test_a_function_gets_the_context(self, served, shut):
        throttle = shut(Rule(when=lambda _, context: context["plan"] == "free"))
        client = served(*(Call("attempt", throttle, context={"plan": plan}) for plan in ("free", "paid")))
        assert client.get("/").json() == [False, "the connection"]

    def test_an_async_function_is_awaited_in_async_code(self, framework, served, shut):
        async def free(_, context):
            return context["plan"] == "free"

        client = served(*(Call("attempt", shut(Rule(when=free)), context={"plan": plan}) for plan in ("free", "paid")))
        answer = client.get("/")
        if framework.asynchronous:
            assert answer.json() == [False, "the connection"]
        else:
            assert answer.status_code == 500

    def test_a_function_may_read_the_framework_request(self, served, shut):
        throttle = shut()
        client = served(guards=[throttle])
        throttle.add_rule(Rule("/", when=is_get))
        assert refused(client, "/") == ["/"]

    def test_rules_added_later_apply_at_once(self, served, shut):
        throttle = shut()
        client = served(guards=[throttle])
        assert refused(client, "/", "/a") == ["/", "/a"]
        throttle.add_rule(Rule("/", bypass=True))
        assert refused(client, "/", "/a") == ["/a"]
        throttle.add_rule(Rule("/b"))
        assert refused(client, "/", "/a", "/b") == ["/b"]


@pytest.mark.usefixtures("groups")
class TestAGroup:
    def test_disabling_and_enabling_it_applies_at_once(self, served, shut, uid):
        client = served(guards=[shut()])
        before = refused(client, "/")
        group(f"{uid}*").disable()
        between = refused(client, "/")
        group("*").enable()
        assert (before, between, refused(client, "/")) == (["/"], [], ["/"])

    def test_a_rule_added_to_it_applies_at_once(self, served, shut):
        client = served(guards=[shut()])
        before = refused(client, "/")
        group("*").add_rule(Rule("/", bypass=True))
        assert (before, refused(client, "/")) == (["/"], [])


class TestARequestIsCountedOnce:
    def left(self, client, limit=9):
        field = client.get("/").headers["RateLimit"]
        return limit - int(field.partition(";r=")[2].partition(";")[0])

    def test_with_a_middleware_and_a_decorator(self, served, uid):
        throttle = HTTPThrottle(uid, "9/min")
        client = served(guards=[throttle], decorated={"/": [throttle]})
        assert [self.left(client) for _ in range(2)] == [1, 2]

    def test_with_two_middlewares_or_two_decorators(self, served, uid):
        throttle, other = HTTPThrottle(uid, "9/min"), HTTPThrottle(f"{uid}-2", "9/min")
        client = served(Call("stat", other), guards=[throttle, throttle], decorated={"/": [other, other]})
        assert (self.left(client), client.get("/").json()[0]["hits_remaining"]) == (1, 7)

    def test_if_a_handler_lets_a_refused_request_pass(self, served, uid):
        seen = []
        throttle = HTTPThrottle(uid, "0/min", handle_throttled=lambda _, decision: seen.append(decision.allowed))
        client = served(Call("is_throttled", throttle), guards=[throttle], decorated={"/": [throttle]})
        assert (client.get("/").json(), seen) == ([True], [False])

    def test_but_an_explicit_hit_counts_it_again(self, served, uid):
        throttle = HTTPThrottle(uid, "9/min")
        client = served(Call("hit", throttle), guards=[throttle])
        assert self.left(client) == 2

    def test_the_next_request_on_the_same_connection_is_counted_too(self, served, uid):
        throttle = HTTPThrottle(uid, "2/min")
        client = served(guards=[throttle], decorated={"/": [throttle]})
        assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]


class TestHeaders:
    @pytest.mark.parametrize(("what", "status", "text"), [("forbidden", 403, None), ("streams", 200, "ab")])
    def test_errors_and_streams_have_them(self, framework, served, uid, what, status, text):
        if not framework.answers:
            pytest.skip("this framework has neither HTTP errors nor streams")
        outer, inner = HTTPThrottle(uid, "5/min"), HTTPThrottle(f"{uid}-2", "3/min")
        answer = served(guards=[outer], **{what: {"/x": [Call("hit", inner)]}}).get("/x")
        assert answer.status_code == status
        assert text is None or text == answer.text
        assert answer.headers.get_list("RateLimit", split_commas=True) == [
            f'"{uid}";r=4;t=60',
            f'"{uid}-2";r=2;t=60',
        ]


def is_get(request):
    return (request.environ["REQUEST_METHOD"] if hasattr(request, "environ") else request.method) == "GET"
