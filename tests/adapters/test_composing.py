"""Several throttles as one decision, and reservations, in every framework."""

import pytest

from tests.adapters.services import Call, Socket
from tests.adapters.test_websocket import say
from traffik import AllOf, HTTPThrottle, Rate, SlidingWindow, WebSocketThrottle, load_throttles
from traffik.backends.base import Charge
from traffik.strategies import plan
from traffik.throttles import Throttle

FILE = """
[[throttle]]
uid = "{uid}-wide"
rate = "10/min"

[[throttle]]
uid = "{uid}-narrow"
rate = "2/min"
"""


@pytest.fixture
def two(uid):
    """A throttle of ten hits a minute, and one of two."""
    return HTTPThrottle(f"{uid}-wide", "10/min"), HTTPThrottle(f"{uid}-narrow", "2/min")


@pytest.fixture
def used(uid, store):
    """How much of the ten has been used."""
    question = Charge(f"{uid}-wide", plan(SlidingWindow(), [Rate.parse("10/min")]), "127.0.0.1", 0, read_only=True)
    return lambda: 10 - store.apply_sync([question])[0].remaining


def from_file(uid, directory):
    path = directory / "limits.toml"
    path.write_text(FILE.format(uid=uid))
    return tuple(load_throttles(path).values())


def in_front(place, throttles):
    """A service of one route, with throttles at this place."""
    match place:
        case "middleware":
            return [], {"guards": throttles}
        case "decorator":
            return [], {"decorated": {"/": throttles}}
        case _:
            return [Call("hit", AllOf(*throttles))], {}


places = pytest.mark.parametrize("place", ["middleware", "decorator", "endpoint"])


class TestTwoThrottles:
    @places
    def test_both_are_charged_or_neither(self, served, two, used, place):
        calls, parts = in_front(place, two)
        client = served(*calls, **parts)
        assert [client.get("/").status_code for _ in range(8)] == [200] * 2 + [429] * 6
        assert used() == 2

    @places
    def test_every_response_names_both(self, served, uid, two, place):
        calls, parts = in_front(place, two)
        client = served(*calls, **parts)
        for left in (1, 0, 0):
            headers = client.get("/").headers
            listed = headers.get_list("RateLimit-Policy", split_commas=True)
            assert sorted(listed) == [f'"{uid}-narrow";q=2;w=60', f'"{uid}-wide";q=10;w=60']
            listed = sorted(headers.get_list("RateLimit", split_commas=True))
            assert listed[0].startswith(f'"{uid}-narrow";r={left};')
            assert listed[1].startswith(f'"{uid}-wide";r={8 + left};')

    @places
    def test_a_refusal_has_one_wait_and_the_policy_that_refused(self, served, uid, two, place):
        calls, parts = in_front(place, two)
        client = served(*calls, **parts)
        refused = [client.get("/", headers={"Accept": "application/problem+json"}) for _ in range(3)][2]
        assert refused.headers.get_list("Retry-After") == ["60"]
        if refused.headers["Content-Type"] == "application/problem+json":
            assert refused.json()["violated-policies"] == [f"{uid}-narrow"]

    @places
    def test_they_may_come_from_a_file(self, served, uid, used, tmp_path, place):
        calls, parts = in_front(place, from_file(uid, tmp_path))
        client = served(*calls, **parts)
        assert [client.get("/").status_code for _ in range(4)] == [200] * 2 + [429] * 2
        assert used() == 2


class TestSeveralInAnEndpoint:
    def test_they_return_the_same_connection_and_its_decision_is_kept(self, served, two):
        both = AllOf(*two)
        client = served(Call("call", both), Call("check", both), Call("is_throttled", two[0]))
        assert [client.get("/").json() for _ in range(2)] == [["the connection", left, False] for left in (True, False)]

    def test_an_endpoint_may_catch_a_refusal(self, served, two, used):
        client = served(*[Call("attempt", AllOf(*two))] * 3, Call("is_throttled"))
        assert client.get("/").json() == ["the connection", "the connection", False, True]
        assert used() == 2


class TestAReservation:
    @pytest.mark.parametrize("several", [False, True])
    def test_it_settles_the_real_cost(self, served, uid, two, used, several):
        wide: Throttle = two[0]
        throttle = AllOf(wide, HTTPThrottle(f"{uid}-other", "20/min")) if several else wide
        client = served(Call("reserve", throttle, 6, actual=2), Call("reserve", throttle, 1, actual=4))
        assert client.get("/").json() == [-4, 3]
        assert used() == 6

    def test_the_response_shows_the_quota_left_after_settling(self, served, uid, two):
        headers = served(Call("reserve", two[0], 6, actual=2)).get("/").headers
        assert headers["RateLimit"].startswith(f'"{uid}-wide";r=8;')

    def test_a_refusal_is_sent_before_the_work_begins(self, served, two, used):
        client = served(Call("reserve", AllOf(*two), 3, actual=1))
        assert (client.get("/").status_code, used()) == (429, 0)


class TestAWebSocket:
    @pytest.fixture(autouse=True)
    def needs_websockets(self, framework):
        if not framework.websockets:
            pytest.skip("this framework has no WebSockets")

    def test_each_message_takes_from_all_limits_or_from_none(self, served, uid, used):
        from websockets.sync.client import connect

        both = AllOf(WebSocketThrottle(f"{uid}-wide", "10/min"), WebSocketThrottle(f"{uid}-narrow", "2/min"))
        client = served(sockets={"/ws": Socket(message=[Call("hit", both)])})
        with connect(f"ws://{client.base_url.netloc.decode()}/ws") as socket:
            said = [say(socket, text) for text in ("one", "two", "three", "four")]
        assert said[:2] == ["one", "two"]
        assert [answer.count("rate_limit") for answer in said] == [0, 0, 1, 1]
        assert used() == 2
