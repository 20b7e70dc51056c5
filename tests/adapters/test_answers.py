"""The responses in every framework: header fields by option, problems for programs, pages for browsers."""

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.adapters.services import Call, Socket, problem
from tests.backends.redis.servers import free_port
from traffik import HTTPThrottle, ResponseOptions, identities, set_default_responses
from traffik.backends.redis import RedisBackend

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
DETAIL = "Too many requests. Retry in 60 seconds."
TRIPLE = ("Limit", "Remaining", "Reset")

SETS = {
    "draft-11": {"ratelimit-policy", "ratelimit"},
    "draft-06": {f"ratelimit-{part.lower()}" for part in TRIPLE},
    "x-ratelimit": {f"x-ratelimit-{part.lower()}" for part in TRIPLE},
}


def limits(answer):
    """The names of the rate limit fields in a response, with duplicates."""
    return sorted(name for name in answer.headers if "ratelimit" in name)


@pytest.fixture(params=["in the route", "in front"])
def guarded(request, served, uid):
    """Serves a throttle of one hit a minute with response options, hit by the route or by a middleware."""

    def start(**options):
        throttle = HTTPThrottle(uid, "1/min", responses=ResponseOptions(**options) if options else None)
        if request.param == "in front":
            return served(guards=[throttle], handled=True)
        return served(Call("hit", throttle), handled=True)

    return start


class TestFields:
    @pytest.mark.parametrize("name", SETS)
    def test_the_option_chooses_them(self, guarded, name):
        client = guarded(fields=name)
        admitted, refused = [client.get("/") for _ in range(2)]
        assert (admitted.status_code, refused.status_code) == (200, 429)
        assert limits(admitted) == limits(refused) == sorted(SETS[name])
        assert all(len(refused.headers.get_list(name)) == 1 for name in limits(refused))

    def test_all_sets_have_the_same_values(self, guarded, uid):
        client = guarded(fields=tuple(SETS))
        for fields in [client.get("/").headers for _ in range(2)]:
            assert fields["RateLimit"] == f'"{uid}";r=0;t=60'
            for prefix in ("RateLimit", "X-RateLimit"):
                assert [fields[f"{prefix}-{part}"] for part in TRIPLE] == ["1", "0", "60"]

    def test_without_fields_only_the_wait_is_sent(self, guarded):
        client = guarded(fields=())
        admitted, refused = [client.get("/") for _ in range(2)]
        assert (limits(admitted), limits(refused), refused.headers["Retry-After"]) == ([], [], "60")

    def test_a_refusal_without_fields_has_none_of_other_throttles(self, served, uid):
        wide = HTTPThrottle(f"{uid}-wide", "5/min")
        quiet = HTTPThrottle(uid, "1/min", responses=ResponseOptions(fields=()))
        client = served(Call("hit", quiet), guards=[wide], handled=True)
        assert [limits(client.get("/")) for _ in range(2)] == [["ratelimit", "ratelimit-policy"], []]

    @pytest.mark.parametrize("place", ["in the route", "in front"])
    def test_a_denied_client_gets_none(self, served, uid, place):
        wide = HTTPThrottle(f"{uid}-wide", "5/min")
        closed = HTTPThrottle(uid, "5/min", identifier=identities.deny("127.0.0.1"))
        calls, guards = ([Call("hit", closed)], [wide]) if place == "in the route" else ([], [wide, closed])
        answer = served(*calls, guards=guards, handled=True).get("/")
        assert (answer.status_code, limits(answer)) == (403, [])

    def test_a_function_may_write_them(self, guarded, uid):
        def write(policies, decision):
            return [("X-Left", f"{policies.name(decision)} {decision.remaining}")]

        client = guarded(fields=[write])
        assert [client.get("/").headers["X-Left"] for _ in range(2)] == [f"{uid} 0"] * 2

    def test_they_have_the_unit_and_the_partition(self, guarded, uid):
        client = guarded(unit="requests", partition_secret=bytes(range(32)))
        told = [client.get("/").headers for _ in range(3)]
        mark = told[0]["RateLimit"].partition(";pk=")[2]
        assert (len(mark), mark[0], mark[-1]) == (18, ":", ":")
        assert [each["RateLimit"] for each in told] == [f'"{uid}";r=0;t=60;pk={mark}'] * 3
        assert {each["RateLimit-Policy"] for each in told} == {f'"{uid}";q=1;w=60;qu="requests";pk={mark}'}

    def test_fields_for_a_single_throttle_are_sent_once(self, served, uid):
        responses = ResponseOptions(fields=("draft-11", "x-ratelimit"))
        wide, narrow = (HTTPThrottle(f"{uid}-{limit}", f"{limit}/min", responses=responses) for limit in (5, 3))
        answer = served(Call("hit", narrow), guards=[wide], handled=True).get("/")
        assert answer.headers.get_list("X-RateLimit-Remaining") == ["2"]
        assert answer.headers.get_list("RateLimit", split_commas=True) == [
            f'"{uid}-5";r=4;t=60',
            f'"{uid}-3";r=2;t=60',
        ]

    def test_a_response_to_an_unknown_path_has_them(self, served, uid):
        throttle = HTTPThrottle(uid, "5/min", responses=ResponseOptions(fields="x-ratelimit"))
        answer = served(guards=[throttle]).get("/nowhere")
        assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (404, "4")

    @pytest.mark.parametrize(("what", "status"), [("forbidden", 403), ("streams", 200)])
    def test_raised_errors_and_streams_have_them(self, framework, served, uid, what, status):
        if not framework.answers:
            pytest.skip("this framework has neither its own errors nor streams")
        throttle = HTTPThrottle(uid, "5/min", responses=ResponseOptions(fields=("draft-11", "draft-06")))
        answer = served(**{what: {"/x": [Call("hit", throttle)]}}).get("/x")
        assert (answer.status_code, answer.headers["RateLimit-Remaining"]) == (status, "4")
        assert answer.headers["RateLimit"] == f'"{uid}";r=4;t=60'

    def test_options_may_be_set_for_the_whole_process(self, guarded):
        set_default_responses(ResponseOptions(fields="draft-06"))
        try:
            assert limits(guarded().get("/")) == sorted(SETS["draft-06"])
        finally:
            set_default_responses(None)


class TestJitter:
    def test_it_only_adds_to_the_wait_and_stays_the_same(self, guarded):
        client = guarded(jitter=3600)
        client.get("/")
        answers = [client.get("/") for _ in range(3)]
        (wait,) = {int(answer.headers["Retry-After"]) for answer in answers}
        assert 60 <= wait <= 3660
        assert {answer.json()["detail"] for answer in answers} == {f"Too many requests. Retry in {wait} seconds."}


class TestTheBody:
    def test_it_is_problem_details_by_default(self, guarded, uid):
        client = guarded()
        refused = [client.get("/") for _ in range(2)][1]
        assert (refused.status_code, refused.content) == (429, problem(DETAIL, uid))
        assert (refused.headers["Content-Type"], refused.headers["Vary"]) == ("application/problem+json", "Accept")

    def test_a_client_that_accepts_only_json_gets_json(self, guarded, uid):
        client = guarded()
        refused = [client.get("/", headers={"Accept": "application/json"}) for _ in range(2)][1]
        assert (refused.headers["Content-Type"], refused.content) == ("application/json", problem(DETAIL, uid))

    def test_a_browser_gets_a_page(self, guarded):
        client = guarded()
        refused = [client.get("/", headers=BROWSER) for _ in range(2)][1]
        assert (refused.headers["Content-Type"], refused.headers["Vary"]) == ("text/html; charset=utf-8", "Accept")
        assert f"<h1>Too Many Requests</h1><p>{DETAIL}</p>" in refused.text
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")

    def test_it_may_be_the_detail_alone(self, guarded):
        client = guarded(problem=False)
        refused = [client.get("/") for _ in range(2)][1]
        assert (refused.headers["Content-Type"], refused.json()) == ("application/json", {"detail": DETAIL})


class TestAnUnavailableStore:
    @pytest.fixture
    def client(self, served, uid):
        store = RedisBackend(f"redis://127.0.0.1:{free_port()}", on_error="throttle")
        return served(Call("hit", HTTPThrottle(uid, "2/hour", backend=store)), handled=True)

    def test_the_problem_has_another_type_and_title(self, client):
        answer = client.get("/")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.content == problem("The rate limiter is unavailable. Retry in 1 second.", None)

    def test_a_browser_gets_another_page(self, client):
        assert "<h1>Service Unavailable</h1>" in client.get("/", headers=BROWSER).text


def test_a_denied_handshake_has_the_same_body(framework, served, uid):
    if not framework.websockets:
        pytest.skip("this framework has no WebSockets")
    client = served(sockets={"/ws": Socket(door=[Call("hit", HTTPThrottle(uid, "0/min"))])}, handled=True)
    with pytest.raises(InvalidStatus) as denied, connect(f"ws://{client.base_url.netloc.decode()}/ws"):
        pass
    response = denied.value.response
    assert (response.status_code, response.headers["Content-Type"]) == (429, "application/problem+json")
    assert b"more than the limit of 0" in response.body
