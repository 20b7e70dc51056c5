"""The live page in every framework: who may see it, what it shows, and what it does."""

import json

import pytest

from tests.adapters.services import Call, Service
from traffik import HTTPThrottle
from traffik.live.pages import LivePage

READ, ACT = "the token of readers", "the token of operators"


@pytest.fixture(autouse=True)
def _can_mount(framework):
    if not framework.live:
        pytest.skip("this framework has no mount for the live page")


@pytest.fixture
def mounted(serve, store, uid):
    """A client of a service with a throttle of 2/min and a live page."""
    pages = []

    def start(**options):
        pages.append(LivePage(limit=uid, show_keys=True, **options))
        throttle = HTTPThrottle(uid, "2/min")
        return serve(Service(store, {"/": [Call("hit", throttle)]}, live=pages[0])), pages[0]

    yield start
    for page in pages:
        page.close()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def state_of(client, page, **headers):
    page.tick()
    return client.get("/limits/state", headers=bearer(READ) | headers).json()


def test_it_counts_requests_and_names_refused_clients(mounted, uid):
    client, page = mounted(token=READ)
    assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]
    state = state_of(client, page)
    (throttle,), (refused,) = state["throttles"], state["clients"]
    assert (throttle["throttle"], throttle["admitted"], throttle["refused"]) == (uid, 2, 1)
    assert (refused["label"], refused["refused"]) == ("127.0.0.1", 1)
    assert (sum(state["series"]["admitted"]), sum(state["series"]["refused"])) == (2, 1)


def test_it_is_closed_without_a_token(mounted, framework):
    client, _ = mounted(token=READ)
    answers = [client.get(f"/limits/{path}") for path in ("", "state", "events")]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert 'type="password"' in answers[0].text
    if framework.adds_slash:
        assert client.get("/limits", follow_redirects=True).status_code == 401


def test_the_form_opens_it_until_the_logout(mounted):
    client, _ = mounted(token=READ)
    assert client.post("/limits/login", data={"token": "wrong"}).status_code == 403
    assert client.post("/limits/login", data={"token": READ}).status_code == 303
    page = client.get("/limits/")
    assert (page.status_code, "script-src 'sha256-" in page.headers["content-security-policy"]) == (200, True)
    csrf = client.get("/limits/state").json()["csrf"]
    assert client.post("/limits/logout", headers={"X-Traffik-CSRF": csrf}).status_code == 204
    assert client.get("/limits/state").status_code == 401


def test_an_action_needs_permission_and_the_page_itself(mounted, uid):
    client, _ = mounted(token=READ, act_token=ACT)
    action = json.dumps({"action": "disable", "throttle": uid})
    assert client.post("/limits/actions", content=action, headers=bearer(READ)).status_code == 403
    client.post("/limits/login", data={"token": ACT})
    assert client.post("/limits/actions", content=action).status_code == 403
    fields = {"X-Traffik-CSRF": client.get("/limits/state").json()["csrf"]}
    foreign = fields | {"Origin": "https://evil.example"}
    assert client.post("/limits/actions", content=action, headers=foreign).status_code == 403
    assert client.post("/limits/actions", content=action, headers=fields).status_code == 200
    assert [client.get("/").status_code for _ in range(3)] == [200, 200, 200]


def test_a_client_is_banned_and_reset(mounted, uid):
    client, page = mounted(token=READ, act_token=ACT)
    for _ in range(3):
        client.get("/")
    about = {"throttle": uid, "client": state_of(client, page)["clients"][0]["client"]}

    def act(**how):
        return client.post("/limits/actions", content=json.dumps(about | how), headers=bearer(ACT)).status_code

    assert (act(action="reset"), client.get("/").status_code) == (200, 200)
    assert act(action="ban", seconds=600) == 200
    banned = client.get("/")
    assert (banned.status_code, int(banned.headers["retry-after"]) > 590) == (429, True)
    assert (act(action="lift"), client.get("/").status_code) == (200, 200)


@pytest.mark.parametrize("is_async", [False, True])
def test_the_application_decides_who_may_read(mounted, framework, is_async):
    def authorize(request):
        return "read" if request.headers.get("x-staff") else None

    async def authorize_async(request):
        return authorize(request)

    client, _ = mounted(authorize=authorize_async if is_async else authorize)
    assert client.get("/limits/").status_code == 403
    assert client.get("/limits/", headers={"X-Staff": "1"}).status_code == 200


def test_it_sends_what_it_shows_over_time(mounted, framework):
    client, _ = mounted(token=READ)
    with client.stream("GET", "/limits/events", headers=bearer(READ)) as stream:
        if not framework.live_streams:
            assert stream.status_code == 204
            return
        line = next(line for line in stream.iter_lines() if line.startswith("data: "))
    assert json.loads(line.removeprefix("data: "))["minutes"] == 10
