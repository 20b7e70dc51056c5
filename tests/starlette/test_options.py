"""The options of a throttle: functions, sync and async, with and without the context."""

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from tests.callers import converse, get, statuses
from traffik import EXEMPTED, HTTPThrottle, Rate, WebSocketThrottle, is_throttled

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


def app_of(throttle, cost=None, context=None):
    """Make an application that hits at `/`, and returns check and stat at `/look`."""

    async def hit(request):
        await throttle.hit(request, cost, context)
        return PlainTextResponse("")

    async def look(request):
        stat = await throttle.stat(request, context)
        check = await throttle.check(request, cost, context)
        return JSONResponse({"stat": stat and stat.hits_remaining, "check": bool(check)})

    return Starlette(routes=[Route("/", hit), Route("/look", look)])


async def look(app, query=""):
    return (await get(app, f"/look{query}")).json()


def parameter(name, kind=str):
    """The same option as a sync or async function, with and without the context."""

    def plain(request):
        return kind(request.query_params[name])

    async def waiting(request):
        return kind(request.query_params[name])

    def contextual(request, context):
        return kind(request.query_params[name] + context["more"])

    async def waiting_contextual(request, context):
        return kind(request.query_params[name] + context["more"])

    return [plain, waiting, contextual, waiting_contextual]


class TestAnIdentifier:
    @pytest.mark.parametrize("identifier", parameter("key"), ids=lambda function: function.__name__)
    async def test_it_identifies_the_client(self, uid, identifier):
        app = app_of(HTTPThrottle(uid, "1/min", identifier=identifier, context={"more": ""}))
        assert await statuses(app, "/?key=a", "/?key=b", "/?key=a") == [200, 200, 429]
        assert await look(app, "?key=b") == {"stat": 0, "check": False}
        assert await look(app, "?key=c") == {"stat": 1, "check": True}

    async def test_it_gets_the_context_of_the_call(self, uid):
        throttle = HTTPThrottle(uid, "1/min", identifier=lambda _, context: context["who"], context={"who": "all"})
        apps = [app_of(throttle, context=context) for context in (None, None, {"who": "me"}, {"who": "all"})]
        assert [(await get(app)).status_code for app in apps] == [200, 429, 200, 429]

    @pytest.mark.parametrize("waiting", [False, True])
    async def test_it_may_exempt_the_client(self, uid, waiting):
        async def wait(request):
            return EXEMPTED

        throttle = HTTPThrottle(uid, "0/min", identifier=wait if waiting else lambda request: EXEMPTED)
        assert await statuses(app_of(throttle), "/", "/") == [200, 200]
        assert await look(app_of(throttle)) == {"stat": None, "check": True}

    async def test_it_may_raise_a_refusal(self, uid):
        def identifier(request):
            raise HTTPException(401)

        assert await statuses(app_of(HTTPThrottle(uid, "5/min", identifier=identifier)), "/") == [401]

    @pytest.mark.parametrize("wrong", [True, 1.5, b"bytes", ["a"]])
    async def test_an_invalid_result_is_an_error_that_names_it(self, uid, backend, wrong):
        def who(request):
            return wrong

        with pytest.raises(TypeError, match=r"the identifier .*who is text, an integer or a UUID"):
            await get(app_of(HTTPThrottle(uid, "5/min", identifier=who)))
        assert backend.keys == 0

    @pytest.mark.usefixtures("backend")
    async def test_none_is_an_error_that_says_what_to_return(self, uid):
        with pytest.raises(TypeError, match=r"the identifier .* has returned None: return text, .* or EXEMPTED"):
            await get(app_of(HTTPThrottle(uid, "5/min", identifier=lambda request: None)))


class TestACost:
    @pytest.mark.parametrize("cost", parameter("cost", int), ids=lambda function: function.__name__)
    async def test_it_may_be_a_function(self, uid, cost):
        app = app_of(HTTPThrottle(uid, "5/min", cost=cost, context={"more": ""}))
        assert await statuses(app, "/?cost=3", "/?cost=3", "/?cost=0", "/?cost=2") == [200, 429, 200, 200]

    async def test_that_of_the_call_takes_precedence(self, uid):
        throttle = HTTPThrottle(uid, "5/min", cost=lambda request: 5)
        assert await statuses(app_of(throttle, cost=1), "/", "/") == [200, 200]

    async def test_a_check_uses_it(self, uid):
        throttle = HTTPThrottle(uid, "5/min", cost=3)
        await get(app_of(throttle))
        assert await look(app_of(throttle)) == {"stat": 2, "check": False}
        assert await look(app_of(throttle, cost=2)) == {"stat": 2, "check": True}

    @pytest.mark.parametrize("wrong", [-1, 1.0, True, "1", float("nan"), 2**31])
    @pytest.mark.parametrize("worked_out", [False, True])
    async def test_an_invalid_one_is_an_error(self, uid, backend, wrong, worked_out):
        throttle = HTTPThrottle(uid, "5/min", cost=lambda request: wrong)
        with pytest.raises((TypeError, ValueError), match="a cost is"):
            await get(app_of(throttle, cost=None if worked_out else wrong))
        assert backend.keys == 0


class TestARate:
    @pytest.mark.parametrize("rate", parameter("rate"), ids=lambda function: function.__name__)
    async def test_it_may_be_a_function(self, uid, rate):
        app = app_of(HTTPThrottle(uid, rate, context={"more": ""}))
        assert await statuses(app, "/?rate=2/min", "/?rate=2/min", "/?rate=2/min") == [200, 200, 429]
        assert await look(app, "?rate=2/min") == {"stat": 0, "check": False}
        assert await look(app, "?rate=3/min") == {"stat": 1, "check": True}

    @pytest.mark.parametrize("rate", [Rate(1, 60_000_000), "1/min", "5/s; 1/min", ["1/min"]])
    async def test_a_function_may_return_any_kind_of_rate(self, uid, rate):
        app = app_of(HTTPThrottle(uid, lambda request: rate))
        assert await statuses(app, "/", "/") == [200, 429]
        assert await look(app) == {"stat": 0, "check": False}

    async def test_the_headers_have_that_of_a_function(self, uid):
        app = app_of(HTTPThrottle(uid, lambda request: "1/min"))
        refused = [await get(app) for _ in range(2)][1]
        assert refused.headers["RateLimit-Policy"] == f'"{uid}";q=1;w=60'

    async def test_it_may_be_unlimited(self, uid, backend):
        app = app_of(HTTPThrottle(uid, lambda request: "unlimited"))
        assert await statuses(app, *["/"] * 5) == [200] * 5
        assert (await look(app))["check"] is True
        assert backend.keys == 0


class TestAHandler:
    @staticmethod
    def app_with(uid, handler):
        throttle = HTTPThrottle(uid, "0/min", handle_throttled=handler, context={"a": 1, "b": 1})
        return app_of(throttle, context={"b": 2})

    async def test_it_gets_connection_decision_throttle_and_context(self, uid):
        seen = []
        app = self.app_with(uid, lambda *arguments: seen.append(arguments))
        assert await statuses(app, "/") == [200]
        ((request, decision, throttle, context),) = seen
        assert (request.url.path, decision.allowed, throttle.uid) == ("/", False, uid)
        assert context == {"a": 1, "b": 2}

    @pytest.mark.parametrize("count", range(5))
    async def test_it_may_have_fewer_parameters(self, uid, count):
        seen = []
        names = ", ".join(["connection", "decision", "throttle", "context"][:count])
        handler = eval(f"lambda {names}: seen.append(({names}))", {"seen": seen})
        assert await statuses(self.app_with(uid, handler), "/") == [200]
        assert len(seen) == 1

    async def test_it_may_be_async_and_raise(self, uid):
        async def busy(request, decision):
            raise HTTPException(503, headers={"X-Never": str(decision.never)})

        answer = await get(self.app_with(uid, busy))
        assert (answer.status_code, answer.headers["X-Never"]) == (503, "True")

    def test_more_parameters_are_an_error(self, uid):
        with pytest.raises(TypeError, match=r"the throttled handler .* cannot be called with"):
            HTTPThrottle(uid, "1/min", handle_throttled=lambda a, b, c, d, e: None)

    async def test_that_of_a_websocket_may_send_a_message(self, uid):
        async def tell(websocket):
            await websocket.send_text("slow down")

        async def endpoint(websocket):
            await websocket.accept()
            await throttle.hit(websocket)
            assert is_throttled(websocket)

        throttle = WebSocketThrottle(uid, "0/min", handle_throttled=tell)
        got = await converse(Starlette(routes=[WebSocketRoute("/", endpoint)]))
        assert [message.get("text") for message in got] == [None, "slow down"]


class TestSwitchedOff:
    async def test_it_admits_everything_and_counts_nothing(self, uid, backend):
        throttle = HTTPThrottle(uid, "0/min")
        throttle.disable()
        assert await statuses(app_of(throttle), "/", "/") == [200, 200]
        assert (await look(app_of(throttle)))["check"] is True
        assert backend.keys == 0

    async def test_it_counts_again_with_the_quota_used_before(self, uid):
        throttle = HTTPThrottle(uid, "1/min")
        app = app_of(throttle)
        assert await statuses(app, "/") == [200]
        throttle.disable()
        assert await statuses(app, "/") == [200]
        throttle.enable()
        assert await statuses(app, "/") == [429]


async def test_reset_gives_the_quota_back(uid):
    throttle = HTTPThrottle(uid, "1/min")

    async def forgive(request):
        await throttle.reset(request)
        return PlainTextResponse("")

    app = app_of(throttle)
    app.routes.append(Route("/forgive", forgive))
    assert await statuses(app, "/", "/", "/forgive", "/") == [200, 429, 200, 200]
